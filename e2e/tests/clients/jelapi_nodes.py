"""The nodes of the environment `shop`, with jelapi."""

import json
import sys

import jelapi
from jelapi import JelasticAPIException, JelasticEnvironment

jelapi.api_url, jelapi.api_token = sys.argv[1] + "/1.0/", sys.argv[2]
told = {}


def group():
    return JelasticEnvironment.get("shop").nodeGroups["cp"]


cp = group()
told["variables before"] = dict(cp.envVars)
cp.envVars["COLOUR"] = "blue"
cp.envVars["SIZE"] = "a b"
cp.save()
told["variables"] = group().envVars

node = group().nodes[0]
node.fixedCloudlets, node.flexibleCloudlets = 2, 4
node.save()
node = group().nodes[0]
told["cloudlets"] = [node.fixedCloudlets, node.flexibleCloudlets]

group().redeploy("v2")
told["versions"] = [node.version for node in group().nodes]
group().restart()
try:
    group().redeploy("broken")
except JelasticAPIException as error:
    told["broken version"] = str(error)
told["versions after that"] = [node.version for node in group().nodes]

cp = group()
told["commands"] = cp.nodes[0].execute_commands(
    ["/bin/echo hello \"'world'\"", "/bin/false", "/bin/echo never"]
)
told["log"] = cp.nodes[0].read_file("stdout.log")
told["log by group"] = cp.read_file("/stdout.log")

print(json.dumps(told))
