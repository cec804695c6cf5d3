"""The demo: three canaries on live traffic, told as they happen, judged by the traffic itself.

It uses the sandbox as anybody could: the API over HTTP, the gateway with requests.
"""
