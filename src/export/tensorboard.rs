//! A run as TensorBoard reads it: an event file, which is a list of TFRecords of `tensorflow.Event` messages.
//!
//! Written by hand because two message types and a checksum are all that it takes:
//! `Event { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary }`, `Summary { 1: repeated Value }`,
//! `Value { 1: string tag, 2: float simple_value }`. A record is its length (u64), the masked CRC-32C of that, the
//! bytes, and theirs.

use std::io::{self, Write};

/// The name that TensorBoard looks for; it has to hold "tfevents".
pub fn file_name(unix_secs: i64, run: i64) -> String {
    format!("events.out.tfevents.{unix_secs}.nudge.{run}")
}

/// Writes the head of an event file.
pub fn begin(out: &mut impl Write, unix_secs: f64) -> io::Result<()> {
    let mut event = Vec::new();
    double(&mut event, 1, unix_secs);
    bytes(&mut event, 3, b"brain.Event:2");
    record(out, &event)
}

/// Writes what was measured at a step.
pub fn step(out: &mut impl Write, unix_secs: f64, step: u64, metrics: &[(String, f64)]) -> io::Result<()> {
    let mut summary = Vec::new();
    for (name, value) in metrics {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, name.as_bytes());
        key(&mut entry, 2, 5);
        entry.extend((*value as f32).to_le_bytes());
        bytes(&mut summary, 1, &entry);
    }
    let mut event = Vec::new();
    double(&mut event, 1, unix_secs);
    key(&mut event, 2, 0);
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    record(out, &event)
}

fn record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(data)?;
    out.write_all(&masked_crc(data).to_le_bytes())
}

/// The field's number and how it is written: 0 varint, 1 eight bytes, 2 with its length, 5 four bytes.
fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// As TFRecord stores it: rotated, and moved by a constant.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the Castagnoli polynomial, reflected.
fn crc32c(data: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_record_is_its_length_its_bytes_and_their_checksums() {
        let mut out = Vec::new();
        step(&mut out, 1.5, 300, &[("loss".to_owned(), -0.5)]).unwrap();
        let length = u64::from_le_bytes(out[..8].try_into().unwrap()) as usize;
        assert_eq!(out.len(), length + 16);
        assert_eq!(out[8..12], masked_crc(&out[..8]).to_le_bytes());
        let data = &out[12..12 + length];
        assert_eq!(out[12 + length..], masked_crc(data).to_le_bytes());
        let mut expected = vec![0x09];
        expected.extend(1.5f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 4]);
        expected.extend(b"loss");
        expected.push(0x15);
        expected.extend((-0.5f32).to_le_bytes());
        assert_eq!(data, expected);
    }
}
