"""Whose the credential is, with jelastic-client."""

import json
import sys

from jelastic_client import JelasticClientFactory

account = JelasticClientFactory(sys.argv[1] + "/1.0/", sys.argv[2]).create_account_client()
print(json.dumps({"email": account.get_user_info().email()}))
