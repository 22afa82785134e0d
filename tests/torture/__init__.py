"""`make torture`: callers that do not give up, an appliance that is killed under them, and the count at the end."""
