"""What jelastic-client raises, with a token for StartEnv and CreateEnvironment alone."""

import json
import sys

from jelastic_client import JelasticClientFactory
from jelastic_client.env_settings import EnvSettings
from jelastic_client.node_settings import DockerSettings, NodeSettings

factory = JelasticClientFactory(sys.argv[1] + "/1.0/", sys.argv[2])
control = factory.create_control_client()
told = {}


def raised(do):
    try:
        do()
    except Exception as error:
        return [type(error).__name__, str(error), getattr(error, "response", {}).get("result")]
    return ["nothing", "", None]


def create(name, node):
    return lambda: control.create_environment(EnvSettings(shortdomain=name), [node])


told["unknown environment"] = raised(lambda: control.start_env("nobodys"))
told["missing permission"] = raised(lambda: control.stop_env("shop"))
told["without GetEnvInfo"] = control.get_env_info("shop").status().name
image = NodeSettings(docker=DockerSettings(image="nginx:1.27", nodeGroup="bl"))
told["image"] = raised(create("image", image))
told["name taken"] = raised(create("shop", NodeSettings(nodeType="container")))
told["unknown method"] = raised(factory.create_jps_client().get_engine_version)
other = JelasticClientFactory(sys.argv[1] + "/1.0/", "wrong").create_control_client()
told["wrong token"] = raised(lambda: other.start_env("shop"))

print(json.dumps(told))
