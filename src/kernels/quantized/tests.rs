//! Blocks against llama.cpp's package and candle, and how much rounding loses.

use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;
use crate::testing::random;

const FORMATS: [(BlockFormat, &str); 12] = [
    (BlockFormat::Q2K, "Q2_K"),
    (BlockFormat::Q3K, "Q3_K"),
    (BlockFormat::Iq4Nl, "IQ4_NL"),
    (BlockFormat::Iq4Xs, "IQ4_XS"),
    (BlockFormat::Q4_0, "Q4_0"),
    (BlockFormat::Q4_1, "Q4_1"),
    (BlockFormat::Q5_0, "Q5_0"),
    (BlockFormat::Q5_1, "Q5_1"),
    (BlockFormat::Q8_0, "Q8_0"),
    (BlockFormat::Q4K, "Q4_K"),
    (BlockFormat::Q5K, "Q5_K"),
    (BlockFormat::Q6K, "Q6_K"),
];

fn matrix(format: BlockFormat, rows: usize, columns: usize, bytes: Vec<u8>) -> Quantized {
    let range = 0..bytes.len();
    Quantized::new(format, rows, columns, Arc::new(bytes), range).unwrap()
}

/// Random blocks with scales of all sizes, denormal ones too, and what llama.cpp's own Python package makes of them.
#[test]
fn blocks_are_read_as_llama_cpp_reads_them() {
    let file = include_bytes!("../../../tests/fixtures/ggml_blocks.safetensors");
    let file = SafeTensors::deserialize(file).unwrap();
    for (format, name) in FORMATS {
        let bytes = file.tensor(&format!("{name}.bytes")).unwrap().data().to_vec();
        let values = file.tensor(&format!("{name}.values")).unwrap();
        let expected: Vec<f32> = values.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let weight = matrix(format, 2, 256, bytes);
        assert_eq!(weight.dequantize(), expected, "{name}");
    }
}

/// candle's reader is another one's work too; it must not matter whether the thread flushes denormals.
#[test]
fn what_is_rounded_comes_back_as_candle_reads_it() {
    let values: Vec<f32> = random(3, 7 * 512).iter().map(|&x| (x * 0.02) as f32).collect();
    for (format, name) in FORMATS {
        let Some(candle) = in_candle(format) else {
            assert!(Quantized::quantize(format, &values, 7, 512).is_err());
            continue;
        };
        let weight = Quantized::quantize(format, &values, 7, 512).unwrap();
        let tensor = Tensor::from_slice(&values, (7, 512), &Device::Cpu).unwrap();
        let candle = QTensor::quantize(&tensor, candle).unwrap();
        assert_eq!(weight.byte_len(), candle.data().unwrap().len());
        let candle = candle.dequantize(&Device::Cpu).unwrap();
        let candle = candle.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(weight.dequantize(), candle, "{name}");
        let flushed = std::thread::scope(|scope| {
            let read = || {
                #[expect(unsafe_code, reason = "the floating-point control register has no safe face")]
                // SAFETY: the thread reads one row and ends.
                unsafe {
                    crate::flush_denormals();
                }
                let mut row = vec![0.0; 512];
                weight.read(3..4, &mut row);
                row
            };
            scope.spawn(read).join().unwrap()
        });
        assert_eq!(flushed, candle[3 * 512..4 * 512], "{name}");
    }
}

/// Root mean square of the rounding, relative to the values', for normally distributed weights. These are the stated
/// bounds; they also say which 4-bit format is the better one.
#[test]
fn rounding_stays_within_its_bounds() {
    let uniform = random(5, 2 * 64 * 1024);
    let values: Vec<f32> = uniform
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[a, b]| {
            // Box and Muller.
            let (a, b) = ((a + 1.0) / 2.0, (b + 1.0) / 2.0);
            (0.02 * (-2.0 * (1.0 - a).max(1e-12).ln()).sqrt() * (b * std::f64::consts::TAU).cos()) as f32
        })
        .collect();
    let size: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
    let mut found = Vec::new();
    for (format, name) in FORMATS {
        if in_candle(format).is_none() {
            continue;
        }
        let read = Quantized::quantize(format, &values, 128, 512).unwrap().dequantize();
        let lost: f64 = values.iter().zip(&read).map(|(&x, &y)| f64::from(x - y).powi(2)).sum();
        found.push((name, (lost / size).sqrt()));
    }
    let error = |wanted: &str| found.iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert!(error("Q8_0") < 0.008, "{found:?}");
    assert!(error("Q6_K") < 0.025, "{found:?}");
    assert!(error("Q5_K") < 0.05, "{found:?}");
    assert!(error("Q5_0") < 0.05, "{found:?}");
    assert!(error("Q4_K") < 0.085, "{found:?}");
    assert!(error("Q4_0") < 0.1, "{found:?}");
    assert!(error("Q4_K") < error("Q4_0"), "{found:?}");
    assert!(error("Q3_K") < 0.2, "{found:?}");
    assert!(error("Q2_K") < 0.4, "{found:?}");
}

#[test]
fn rows_can_be_put_in_another_order() {
    let values: Vec<f32> = random(4, 5 * 64).iter().map(|&x| x as f32).collect();
    let weight = Quantized::quantize(BlockFormat::Q5_1, &values, 5, 64).unwrap();
    let turned = weight.with_rows(&[4, 0, 2]).unwrap();
    let (all, some) = (weight.dequantize(), turned.dequantize());
    assert_eq!(turned.dims(), (3, 64));
    assert_eq!(some[..64], all[4 * 64..]);
    assert_eq!(some[64..128], all[..64]);
    assert_eq!(some[128..], all[2 * 64..3 * 64]);
    assert!(weight.with_rows(&[5]).is_err());
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let bytes: Bytes = Arc::new(vec![0_u8; 68]);
    let new = |rows, columns, range| Quantized::new(BlockFormat::Q8_0, rows, columns, Arc::clone(&bytes), range);
    assert!(new(2, 32, 0..68).is_ok());
    assert!(new(2, 31, 0..68).is_err());
    assert!(new(1, 32, 0..68).is_err());
    assert!(new(2, 32, 34..102).is_err());
    assert!(Quantized::quantize(BlockFormat::Q4K, &[0.0; 64], 2, 32).is_err());
}

proptest! {
    /// The half-precision reader, over all its bits.
    #[test]
    fn halves_are_exact(bits in any::<u16>()) {
        let exact = half::f16::from_bits(bits).to_f32();
        let got = super::half(&bits.to_le_bytes(), 0);
        prop_assert!(got.to_bits() == exact.to_bits() || got.is_nan() && exact.is_nan());
    }
}
