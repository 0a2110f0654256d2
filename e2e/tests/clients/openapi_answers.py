"""Whether the document is valid OpenAPI, and whether what is really answered is what it says, to the last member."""

import json
import sys
import urllib.parse
import urllib.request

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

url, credential = sys.argv[1:3]


def ask(path, parameters=None, verb="GET"):
    query = urllib.parse.urlencode(parameters or {})
    bearer = {"Authorization": "Bearer " + credential}
    if verb == "GET":
        request = urllib.request.Request(f"{url}{path}?{query}", headers=bearer)
    else:
        request = urllib.request.Request(url + path, data=query.encode(), headers=bearer)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def close(schema):
    """No member may be there that is not described."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


document = ask("/openapi.json")
OpenAPIV31SpecValidator(document).validate()
components = close(document["components"])
asked = {}


def call(path, verb, /, **parameters):
    operation = document["paths"][path][verb.lower()]
    answer = ask(path, parameters, verb)
    content = operation["responses"]["200"]["content"]["application/json"]
    OAS31Validator({"components": components, **close(content["schema"])}).validate(answer)
    asked.setdefault(operation["x-portcullis"]["method"], []).append(answer["result"])
    return answer


control = "/1.0/environment/control/rest/"
shop = call(control + "getenvinfo", "GET", envName="shop")
known = {
    "envName": "shop",
    "nodeId": shop["nodes"][0]["id"],
    "nodeGroup": "cp",
    "path": "stdout.log",
    "id": 1,
}
for path, operations in document["paths"].items():
    for verb, operation in operations.items():
        if not operation["x-portcullis"]["safe"] or "text/event-stream" in operation["responses"]["200"]["content"]:
            continue
        if verb == "get":
            names = [parameter["name"] for parameter in operation["parameters"]]
        else:
            form = operation.get("requestBody", {"content": {}})["content"]
            names = list(form.get("application/x-www-form-urlencoded", {"schema": {"properties": {}}})["schema"]["properties"])
        call(path, verb.upper(), **{name: known[name] for name in names if name in known})

node = json.dumps([{"nodeType": "container"}])
call(control + "createenvironment", "POST", env=json.dumps({"shortdomain": "copy"}), nodes=node)
call(control + "createenvironment", "POST", env=json.dumps({"shortdomain": "shop"}), nodes=node)
call(control + "addcontainerenvvars", "POST", envName="copy", nodeGroup="cp", vars=json.dumps({"COLOUR": "red"}))
call(control + "redeploycontainersbygroup", "POST", envName="copy", nodeGroup="cp", tag="v2")
commands = json.dumps([{"command": "/bin/echo", "params": "hello"}])
call(control + "execcmdbygroup", "POST", envName="copy", nodeGroup="cp", commandList=commands)
call(control + "stopenv", "GET", envName="copy")
call(control + "restartnodes", "GET", envName="copy")
call(control + "deleteenv", "GET", envName="copy")
call(control + "deleteenv", "GET", envName="copy")
print(json.dumps(asked))
