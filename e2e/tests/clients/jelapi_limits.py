"""What jelapi cannot read."""

import json
import sys

import jelapi
from jelapi import JelasticEnvironment

jelapi.api_url, jelapi.api_token = sys.argv[1] + "/1.0/", sys.argv[2]
told = {}
for name in ["types", "groups"]:
    try:
        JelasticEnvironment.get(name)
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
try:
    JelasticEnvironment.dict()
except (jelapi.JelasticObjectException, StopIteration) as error:
    told["list"] = type(error).__name__

print(json.dumps(told))
