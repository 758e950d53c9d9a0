#!/usr/bin/env python3
"""Runs an ONNX model in onnxruntime over batches of rows and compares the answers with those of another runtime.

    onnx_agreement.py MODEL.onnx ROWS.f32 ANSWERS.f32 TOLERANCE

ROWS.f32 and ANSWERS.f32 hold whole batches of 32-bit little-endian floats, as the input and the output of the
model are shaped. Prints one JSON line; fails if an answer is off by more than TOLERANCE over one plus its size.
"""
import json
import sys

import numpy as np
import onnxruntime


def main():
    model, rows_file, answers_file, tolerance = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (rows_port,), (answers_port,) = session.get_inputs(), session.get_outputs()
    rows = np.fromfile(rows_file, dtype="<f4").reshape(-1, *rows_port.shape)
    answers = np.fromfile(answers_file, dtype="<f4").reshape(-1, *answers_port.shape)
    if len(rows) == 0 or len(rows) != len(answers):
        sys.exit(f"{len(rows)} batches of rows and {len(answers)} of answers, expected as many and at least one")
    largest = 0.0
    for batch, expected in zip(rows, answers):
        (found,) = session.run([answers_port.name], {rows_port.name: batch})
        largest = max(largest, float((np.abs(found - expected) / (1 + np.abs(found))).max()))
    print(json.dumps({"batches": len(rows), "rows": int(rows.shape[0] * rows.shape[1]), "largest": largest}))
    # Written so that NaN fails.
    if not largest <= float(tolerance):
        sys.exit(f"onnxruntime and the other runtime differ by {largest}, at most {tolerance} is allowed")


if __name__ == "__main__":
    main()
