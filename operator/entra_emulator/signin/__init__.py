"""Sign-in: discovery, authorization, tokens. The emulated part of login.microsoftonline.com."""
