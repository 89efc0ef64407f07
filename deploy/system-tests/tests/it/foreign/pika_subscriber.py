"""Binds a queue to the exchange, as a service in Python would, and prints each event's identity."""

import json
import sys

import pika

url, exchange, pattern = sys.argv[1:]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, exchange, pattern)


def on_event(_channel, method, properties, body):
    event = json.loads(body)
    assert properties.content_type == "application/cloudevents+json", properties
    assert properties.message_id == event["id"], properties
    assert properties.type == event["type"], properties
    identity = {
        "id": event["id"],
        "type": event["type"],
        "subject": event["subject"],
        "version": event["data"]["version"],
        "routingKey": method.routing_key,
        "traceparent": properties.headers["traceparent"],
    }
    print(json.dumps(identity), flush=True)


channel.basic_consume(queue, on_event, auto_ack=True)
print("bound", flush=True)
channel.start_consuming()
