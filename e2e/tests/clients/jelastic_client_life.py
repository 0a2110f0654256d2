"""An environment from its creation to its end, with jelastic-client."""

import json
import sys

from jelastic_client import JelasticClientFactory
from jelastic_client.env_settings import EnvSettings
from jelastic_client.node_settings import NodeSettings

factory = JelasticClientFactory(sys.argv[1] + "/1.0/", sys.argv[2])
control = factory.create_control_client()
told = {}


def status():
    return control.get_env_info("shop").status().name


before = control.get_env_info("shop")
told["before"] = [before.exists(), before.status().name]
created = control.create_environment(
    EnvSettings(shortdomain="shop", displayName="The shop"),
    [NodeSettings(nodeType="container", displayName="Front", fixedCloudlets=1)],
)
info = control.get_env_info("shop")
told["created"] = [
    created.env_name(),
    created.domain(),
    created.status().name,
    info._info["env"]["displayName"],
]
node = info.get_node_from_name("Front")
told["node"] = [
    node.node_group,
    node.node_type,
    node.int_ip,
    node.url.rsplit(":", 1)[0],
    node.display_name,
]

control.stop_env("shop")
told["after stop"] = status()
control.start_env("shop")
told["after start"] = status()
# It has no call of its own for this one, nor for the list.
factory.api_client.execute("Environment.Control.SleepEnv", envName="shop")
told["after sleep"] = status()
control.start_env("shop")
told["after waking"] = status()

copy = control.clone_env("shop", "shop-copy")
told["copy"] = [copy.env_name(), copy.status().name, len(copy.nodes())]
listed = factory.api_client.execute("Environment.Control.GetEnvs")
told["listed"] = [info["env"]["envName"] for info in listed["infos"]]
control.delete_env("shop")
after = control.get_env_info("shop")
told["after the end"] = [after.exists(), after.status().name]

print(json.dumps(told))
