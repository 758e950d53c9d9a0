#!/usr/bin/env python3
"""Loads and runs an ONNX model in onnxruntime with one thread, as often as it is told, and tells how long that took.

    onnx_pace.py MODEL.onnx ROWS.f32

ROWS.f32 holds one batch of 32-bit little-endian floats, as the input of the model is shaped. Reads lines from
standard input and answers each with a line of JSON:

    load N    loads the model N times from memory                 {"ns": processor time of this thread}
    run N     runs it N times as a Python program does            {"ns": ...}
    bound N   runs it N times with inputs and outputs bound, which leaves the least of Python in it
    answers   {"answers": [...]}
"""
import json
import sys
import time

import numpy as np
import onnxruntime


def main():
    model_file, rows_file = sys.argv[1:]
    with open(model_file, "rb") as file:
        model = file.read()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1

    def load():
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    session = load()
    (rows_port,), (answers_port,) = session.get_inputs(), session.get_outputs()
    names, rows = [answers_port.name], np.fromfile(rows_file, dtype="<f4").reshape(rows_port.shape)
    inputs = {rows_port.name: rows}
    binding = session.io_binding()
    binding.bind_cpu_input(rows_port.name, rows)
    binding.bind_output(answers_port.name)
    work = {
        "load": load,
        "run": lambda: session.run(names, inputs),
        "bound": lambda: session.run_with_iobinding(binding),
    }
    for line in sys.stdin:
        match line.split():
            case ["answers"]:
                answer = {"answers": session.run(names, inputs)[0].ravel().tolist()}
            case [what, times] if what in work:
                call, times = work[what], int(times)
                began = time.thread_time_ns()
                for _ in range(times):
                    call()
                answer = {"ns": time.thread_time_ns() - began}
            case _:
                sys.exit(f"read {line!r}, expected load, run or bound with a number, or answers")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
