//! A solar home that speaks Modbus.
