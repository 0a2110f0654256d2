"""What jelapi raises, with a token for GetEnvInfo and ExecCmdById alone."""

import json
import sys

import jelapi
from jelapi import JelasticEnvironment

jelapi.api_url, jelapi.api_token = sys.argv[1] + "/1.0/", sys.argv[2]
told = {}


def raised(do):
    try:
        do()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


shop = JelasticEnvironment.get("shop")
node = shop.nodeGroups["cp"].nodes[0]
told["unknown environment"] = raised(lambda: JelasticEnvironment.get("nobodys"))
told["missing permission"] = raised(shop.stop)
told["unknown method"] = raised(
    lambda: jelapi.api_connector()._("Environment.Control.ChangeTopology")
)
told["command not listed"] = raised(lambda: node.execute_command("/bin/ls"))
jelapi.api_token = "wrong"
told["wrong token"] = raised(lambda: JelasticEnvironment.get("shop"))

print(json.dumps(told))
