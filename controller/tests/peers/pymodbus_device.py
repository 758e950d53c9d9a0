"""A home's devices as pymodbus serves them: an independent peer for the hub's Modbus driver.

    pymodbus_device.py tcp PORT
    pymodbus_device.py rtu PATH

Prints "ready" when it can be asked. Unit 1 is a Tracer 3210A charge controller, 2 an SDM630 meter, 3 a board of
eight relays.
"""

import asyncio
import struct
import sys

from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def registers(address, values):
    return SimData(address, values=list(values), datatype=DataType.REGISTERS)


def low_first(value):
    return [value & 0xFFFF, value >> 16 & 0xFFFF]


def real(value):
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low]


def blocks(*, coils=1, holding=None, inputs=None):
    nothing = [registers(0, [0])]
    bits = [SimData(0, values=[False] * 16 * coils, datatype=DataType.BITS)]
    return bits, bits, holding or nothing, inputs or nothing


def tracer():
    inputs = [
        registers(0x3100, [6812, 523, *low_first(35627), 2643, 1348, *low_first(35627)]),
        registers(0x310C, [2640, 210, *low_first(5544), 2150, 3120]),
        registers(0x311A, [87]),
        registers(0x3200, [0, 0x000B, 1]),
        registers(0x3302, [2712, 2498, *low_first(41)]),
        registers(0x330A, [*low_first(70000), *low_first(212)]),
    ]
    return SimDevice(1, simdata=blocks(holding=[registers(0x9000, [1, 200])], inputs=inputs))


def meter():
    words = [0] * 0x50
    for address, value in {0x00: 229.75, 0x02: 231.5, 0x04: 230.25, 0x34: 1234.5, 0x46: 50.02, 0x48: 4321.25}.items():
        words[address : address + 2] = real(value)
    return SimDevice(2, simdata=blocks(inputs=[registers(0, words), registers(0x156, real(4400.5))]))


def relays():
    return SimDevice(3, simdata=blocks())


async def main(kind, where):
    devices = [tracer(), meter(), relays()]
    if kind == "tcp":
        server = ModbusTcpServer(devices, address=("127.0.0.1", int(where)), ignore_missing_devices=True)
    else:
        server = ModbusSerialServer(
            devices, framer=FramerType.RTU, port=where, baudrate=115200, ignore_missing_devices=True
        )
    await server.serve_forever(background=True)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main(*sys.argv[1:]))
