"""Home Assistant's own schemas and templates, held against what a hub announces.

Reads JSON lines {"topic", "payload"} from standard input: all retained messages of a broker. Prints for each announced entity a
line with what Home Assistant would show, and fails with the reason where it would refuse one.
"""

import asyncio
import json
import sys
import tempfile

import voluptuous as vol
from homeassistant.components.mqtt import binary_sensor, sensor
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS, SensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template

SCHEMAS = {"sensor": sensor.DISCOVERY_SCHEMA, "binary_sensor": binary_sensor.DISCOVERY_SCHEMA}


def shown(hass, config, template, topic, retained):
    value = retained[config[topic]]
    if config.get(template) is None:
        return value
    template = config[template]
    template = template if isinstance(template, Template) else Template(template, hass)
    template.hass = hass
    return template.async_render_with_possible_json_value(value, parse_result=False)


async def main():
    hass = HomeAssistant(tempfile.mkdtemp())
    retained = {}
    for line in sys.stdin:
        message = json.loads(line)
        retained[message["topic"]] = message["payload"]
    for topic, payload in sorted(retained.items()):
        parts = topic.split("/")
        if parts[-1] != "config":
            continue
        prefix, component, node, entity, _ = parts
        announced = json.loads(payload)
        try:
            config = SCHEMAS[component](announced)
        except vol.Invalid as error:
            sys.exit(f"{topic}: Home Assistant refuses it: {error}")
        stray = set(announced) - {str(key) for key in config}
        if stray:
            sys.exit(f"{topic}: Home Assistant knows nothing of {stray}")
        if component == "sensor":
            kind = SensorDeviceClass(config["device_class"])
            if config["unit_of_measurement"] not in DEVICE_CLASS_UNITS[kind]:
                sys.exit(f"{topic}: {kind} is not in {config['unit_of_measurement']}")
            if config["state_class"] not in DEVICE_CLASS_STATE_CLASSES[kind]:
                sys.exit(f"{topic}: {kind} is not {config['state_class']}")
        if retained[config["availability_topic"]] != config.get("payload_available", "online"):
            sys.exit(f"{topic}: not available: {retained[config['availability_topic']]}")
        line = {"component": component, "entity": entity, "unique_id": config["unique_id"]}
        line["state"] = shown(hass, config, "value_template", "state_topic", retained)
        if "json_attributes_topic" in config:
            attributes = shown(hass, config, "json_attributes_template", "json_attributes_topic", retained)
            line["attributes"] = json.loads(attributes)
        print(json.dumps(line))


asyncio.run(main())
