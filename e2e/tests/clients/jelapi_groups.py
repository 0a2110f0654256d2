"""Groups of environments, with jelapi."""

import json
import sys

import jelapi
from jelapi import JelasticEnvGroup

jelapi.api_url, jelapi.api_token = sys.argv[1] + "/1.0/", sys.argv[2]
told = {}


def names():
    JelasticEnvGroup.dict.cache_clear()
    return sorted(JelasticEnvGroup.dict())


JelasticEnvGroup(name="live", color="#00aa00").save()
JelasticEnvGroup(name="live/shop").save()
told["made"] = names()
live = JelasticEnvGroup.get("live")
told["children"] = sorted(live.children)
# It changes colours with this; the call has to be taken.
live.color = "#aa0000"
live.save()
JelasticEnvGroup.get("live/shop").delete_from_api()
told["left"] = names()

print(json.dumps(told))
