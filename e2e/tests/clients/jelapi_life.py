"""An environment from its creation to its end, with jelapi."""

import json
import sys

import jelapi
from jelapi import JelasticEnvironment

jelapi.api_url, jelapi.api_token = sys.argv[1] + "/1.0/", sys.argv[2]
told = {}


def call(method, **parameters):
    return jelapi.api_connector()._(method, **parameters)


def listed():
    JelasticEnvironment.dict.cache_clear()
    return sorted(JelasticEnvironment.dict())


def status():
    return JelasticEnvironment.get("shop").status.name


# It has no call of its own for these two.
call(
    "Environment.Control.CreateEnvironment",
    env=json.dumps({"shortdomain": "shop", "displayName": "Shop"}),
    nodes=json.dumps([{"nodeType": "container", "count": 2}]),
    envGroups=json.dumps(["webs"]),
)
told["listed"] = listed()
shop = JelasticEnvironment.get("shop")
told["got"] = {
    "name": shop.envName,
    "displayName": shop.displayName,
    "status": shop.status.name,
    "envGroups": shop.envGroups,
    "nodeGroups": list(shop.nodeGroups),
    "nodes": [
        [node.nodeType.name, node.status.name, node.intIP]
        for node in shop.nodeGroups["cp"].nodes
    ],
}

shop.stop()
told["after stop"] = status()
shop.start()
told["after start"] = status()
shop.sleep()
told["after sleep"] = status()
shop.start()
told["after waking"] = status()

shop = JelasticEnvironment.get("shop")
shop.displayName = "The shop"
shop.envGroups = ["live", "webs"]
shop.save()
told["display name"] = JelasticEnvironment.get("shop").displayName
told["groups of the environment"] = JelasticEnvironment.get("shop").envGroups
shop.envGroups = []
shop.save()
told["no groups"] = JelasticEnvironment.get("shop").envGroups

copy = shop.clone("shop-copy")
told["copy"] = [copy.envName, copy.status.name, len(copy.nodeGroups["cp"].nodes)]
told["listed with the copy"] = listed()
call("Environment.Control.DeleteEnv", envName="shop")
told["listed at the end"] = listed()

print(json.dumps(told))
