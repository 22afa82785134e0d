"""`make torture`: hundreds of calls while everything is killed, frozen and filled up; a table at the end."""
