"""The nodes of the environment `shop`, with jelastic-client."""

import json
import sys

from jelastic_client import JelasticClientFactory

factory = JelasticClientFactory(sys.argv[1] + "/1.0/", sys.argv[2])
control, files = factory.create_control_client(), factory.create_file_client()
first, second = [node.id for node in control.get_env_info("shop").nodes()]
told = {}


def variables():
    assert control.get_container_env_vars_by_group(
        "shop", "cp"
    ) == control.get_container_env_vars("shop", first)
    return [control.get_container_env_vars("shop", node) for node in [first, second]]


control.add_container_env_vars("shop", {"COLOUR": "blue"}, node_group="cp")
told["added to the group"] = variables()
control.add_container_env_vars("shop", {"COLOUR": "red", "SIZE": "a b"}, node_id=first)
told["added to a node"] = variables()
control.remove_container_env_vars("shop", ["COLOUR", "NEVER_THERE"], node_id=first)
told["removed"] = variables()
control.set_container_env_vars("shop", first, {"ONLY": "this"})
told["set"] = variables()
control.set_container_env_vars_by_group("shop", "cp", {"COLOUR": "green"})
told["set for the group"] = variables()

# It has no calls of its own for these two.
redeployed = factory.api_client.execute(
    "Environment.Control.RedeployContainersByGroup", envName="shop", nodeGroup="cp", tag="v2"
)
nodes = control.get_env_info("shop")._info["nodes"]
told["redeployed"] = [
    [response["result"] for response in redeployed["responses"]],
    [node["version"] for node in nodes],
]
done = factory.api_client.execute(
    "Environment.Control.ExecCmdById",
    envName="shop",
    nodeid=first,
    commandList=str([{"command": "/bin/echo", "params": "hello"}]),
)
command = done["responses"][0]
told["command"] = [command["result"], command["out"], command["errOut"]]
told["log"] = files.read("shop", "stdout.log", node_id=first)
told["log by group"] = files.read("shop", "stdout.log", node_type="docker", node_group="cp")

print(json.dumps(told))
