//! One column of whole numbers: what is left after a simple guess, in Rice codes.
//!
//! A guess is one of four (`order`): the smallest value; the value before; the value before and its step; the median. What is left is
//! written in blocks of 128, each with its own Rice parameter `k`: quotient in ones, then `k` bits. A block of zeros costs six bits. A quotient
//! of 24 or more is written whole. The writer takes the order that comes out shortest. All sums wrap, so that any i64 comes back.
//! (Rice, "Some practical universal noiseless coding techniques", 1979; the orders as in FLAC's fixed predictors.)

use super::Damaged;
use super::bits::{BitReader, BitWriter};

/// Values in a block: enough to share a parameter, few enough to follow a change of pace.
const BLOCK: usize = 128;
/// From this quotient on the number follows whole.
const QUOTIENT_MAX: u32 = 24;
/// Parameter of a block of zeros.
const ALL_ZERO: u64 = 63;
const K_BITS: u32 = 6;
/// Largest parameter: above, escaping is as short.
const K_MAX: u32 = 40;

#[derive(Clone, Copy)]
enum Order {
    Smallest,
    Before,
    Step,
    Median,
}

const ORDERS: [Order; 4] = [Order::Smallest, Order::Before, Order::Step, Order::Median];

/// What is left of a column after a guess.
struct Left {
    order: Order,
    base: i64,
    step: i64,
    values: Vec<u64>,
    bits: u64,
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Bits that [`put`] would take.
pub(super) fn cost(values: &[i64]) -> u64 {
    shortest(values).bits
}

/// Writes a column. Its length is not written: the reader has to know it.
pub(super) fn put(values: &[i64], out: &mut BitWriter) {
    if values.is_empty() {
        return;
    }
    let left = shortest(values);
    out.put(left.order as u64, 2);
    out.put_number(zigzag(left.base));
    if matches!(left.order, Order::Step) {
        out.put_number(zigzag(left.step));
    }
    for block in left.values.chunks(BLOCK) {
        put_block(block, out);
    }
}

/// Reads a column of `count` values.
pub(super) fn take(count: usize, from: &mut BitReader<'_>) -> Result<Vec<i64>, Damaged> {
    let mut values = Vec::with_capacity(count);
    if count == 0 {
        return Ok(values);
    }
    let order = ORDERS[from.take(2)? as usize & 3];
    let base = unzigzag(from.take_number()?);
    let mut step = if matches!(order, Order::Step) { unzigzag(from.take_number()?) } else { 0 };
    let mut before = base.wrapping_sub(step);
    let mut left = Vec::with_capacity(BLOCK);
    while values.len() < count {
        take_block(BLOCK.min(count - values.len()), from, &mut left)?;
        for &residual in &left {
            let value = match order {
                Order::Smallest => base.wrapping_add(residual as i64),
                Order::Median => base.wrapping_add(unzigzag(residual)),
                Order::Before => before.wrapping_add(unzigzag(residual)),
                Order::Step => {
                    step = step.wrapping_add(unzigzag(residual));
                    before.wrapping_add(step)
                }
            };
            before = value;
            values.push(value);
        }
    }
    Ok(values)
}

fn shortest(values: &[i64]) -> Left {
    let lefts = ORDERS.map(|order| left_of(order, values));
    lefts.into_iter().min_by_key(|left| left.bits).expect("there are four orders")
}

fn left_of(order: Order, values: &[i64]) -> Left {
    let first = values.first().copied().unwrap_or_default();
    let (base, mut step) = match order {
        Order::Smallest => (values.iter().copied().min().unwrap_or_default(), 0),
        Order::Median => (median(values), 0),
        Order::Before => (first, 0),
        Order::Step => (first, values.get(1).map_or(0, |second| second.wrapping_sub(first))),
    };
    let first_step = step;
    let mut before = base.wrapping_sub(step);
    let residual = |&value: &i64| {
        let left = match order {
            Order::Smallest => value.wrapping_sub(base) as u64,
            Order::Median => zigzag(value.wrapping_sub(base)),
            Order::Before => zigzag(value.wrapping_sub(before)),
            Order::Step => {
                let taken = value.wrapping_sub(before);
                let left = zigzag(taken.wrapping_sub(step));
                step = taken;
                left
            }
        };
        before = value;
        left
    };
    let left: Vec<u64> = values.iter().map(residual).collect();
    let bits = left.chunks(BLOCK).map(|block| parameter(block).1).sum::<u64>() + 24;
    Left { order, base, step: first_step, values: left, bits }
}

fn median(values: &[i64]) -> i64 {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    if sorted.is_empty() { 0 } else { *sorted.select_nth_unstable(middle).1 }
}

/// The best parameter of a block (none for zeros) and what the block costs with it.
fn parameter(block: &[u64]) -> (Option<u32>, u64) {
    let most = block.iter().copied().max().unwrap_or_default();
    if most == 0 {
        return (None, u64::from(K_BITS));
    }
    let k_most = (64 - most.leading_zeros()).min(K_MAX);
    let cost = |k: u32| block.iter().map(|&value| code_bits(value, k)).sum::<u64>();
    let best = (0..=k_most).map(|k| (cost(k), k)).min().expect("there is at least k = 0");
    (Some(best.1), best.0 + u64::from(K_BITS))
}

const fn code_bits(value: u64, k: u32) -> u64 {
    let quotient = value >> k;
    if quotient < QUOTIENT_MAX as u64 { quotient + 1 + k as u64 } else { QUOTIENT_MAX as u64 + 64 }
}

fn put_block(block: &[u64], out: &mut BitWriter) {
    let Some(k) = parameter(block).0 else { return out.put(ALL_ZERO, K_BITS) };
    out.put(u64::from(k), K_BITS);
    for &value in block {
        let quotient = value >> k;
        if quotient < u64::from(QUOTIENT_MAX) {
            out.put((1 << (quotient + 1)) - 2, quotient as u32 + 1);
            out.put(value, k);
        } else {
            out.put((1 << QUOTIENT_MAX) - 1, QUOTIENT_MAX);
            out.put(value, 64);
        }
    }
}

fn take_block(count: usize, from: &mut BitReader<'_>, out: &mut Vec<u64>) -> Result<(), Damaged> {
    out.clear();
    let k = from.take(K_BITS)?;
    if k == ALL_ZERO {
        out.resize(count, 0);
        return Ok(());
    }
    let k = k as u32;
    if k > K_MAX {
        return Err(Damaged::Number);
    }
    for _ in 0..count {
        let quotient = from.take_ones(QUOTIENT_MAX)?;
        out.push(if quotient == QUOTIENT_MAX { from.take(64)? } else { (u64::from(quotient) << k) | from.take(k)? });
    }
    Ok(())
}
