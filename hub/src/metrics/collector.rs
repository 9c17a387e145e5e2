//! Puts cells and probes into the text of a scrape.

use std::fmt;
use std::sync::{Arc, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Shared;
use super::families::{COUNTERS, Count, Described, GAUGES, Gauge, Kind, OUTCOMES, SERIES, place};
use super::process;

/// Registered once with the registry.
#[derive(Debug)]
pub(super) struct Collector {
    shared: Arc<Shared>,
}

impl Collector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn counter(&self, encoder: &mut DescriptorEncoder<'_>, family: &Described, first: usize) -> Result<(), fmt::Error> {
        let read = (first == place(Count::Samples, 0)).then(|| self.samples()).flatten();
        let mut metric = encoder.encode_descriptor(family.name, family.help, None, MetricType::Counter)?;
        for (index, value) in family.values.iter().enumerate() {
            let sum = read.map_or_else(|| self.shared.cells.sum(first + index), |read| read[index]);
            if family.label.is_empty() {
                metric.encode_counter::<NoLabelSet, u64, f64>(&sum, None)?;
            } else {
                metric.encode_family(&[(family.label, *value)])?.encode_counter::<NoLabelSet, u64, f64>(&sum, None)?;
            }
        }
        Ok(())
    }

    fn samples(&self) -> Option<[u64; OUTCOMES.len()]> {
        self.shared.samples.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|read| read())
    }

    /// Readings of one gauge: of the process itself, or of whoever gave a probe.
    fn readings(&self, gauge: Gauge) -> Vec<(Option<String>, f64)> {
        if let Some(own) = process::read(gauge) {
            return vec![(None, own)];
        }
        let probes = self.shared.probes.read().unwrap_or_else(PoisonError::into_inner);
        probes.iter().filter(|(of, _, _)| *of == gauge).map(|(_, label, read)| (label.clone(), read())).collect()
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut first = 0;
        for family in COUNTERS {
            self.counter(&mut encoder, family, first)?;
            first += family.values.len();
        }
        debug_assert_eq!(first, SERIES);
        for (family, gauge) in GAUGES.iter().zip(Gauge::ALL) {
            let readings = self.readings(*gauge);
            let total = family.kind == Kind::Counter;
            let kind = if total { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (label, value) in readings {
                match label {
                    _ if total => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                    Some(label) if !family.label.is_empty() => {
                        metric.encode_family(&[(family.label, label.as_str())])?.encode_gauge(&value)?
                    }
                    _ => metric.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }
}
