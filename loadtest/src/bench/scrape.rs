//! The hub's own counts, read from `/metrics` as anybody may.

use anyhow::Context as _;

use super::Bench;

/// One reading of `/metrics`.
#[derive(Debug, Clone)]
pub struct Scrape(String);

impl Scrape {
    /// Reads them now.
    ///
    /// # Errors
    /// Where the hub does not answer.
    pub async fn read(bench: &Bench) -> anyhow::Result<Self> {
        let url = format!("{}/metrics", bench.http());
        let answer = bench.client().get(&url).send().await.with_context(|| format!("could not reach {url}"))?;
        Ok(Self(answer.error_for_status()?.text().await?))
    }

    /// All series of this name added up; 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.series(name).map(|(_, value)| value).sum()
    }

    /// One series, by a piece of its labels such as `reason="slow"`; 0 where there is none.
    #[must_use]
    pub fn of(&self, name: &str, label: &str) -> f64 {
        self.series(name).filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
    }

    /// Questions to the database and transactions of the Recorder so far.
    #[must_use]
    pub fn database_work(&self) -> f64 {
        self.sum("database_query_duration_seconds_count") + self.sum("spotter_recorder_batches_total")
    }

    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let whole = labels.is_empty() || labels.starts_with('{');
            Some((labels, value.parse().ok()?)).filter(|_| whole)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_name_are_added_and_longer_names_are_others() {
        let text = "# HELP a x\na{b=\"1\"} 2\na{b=\"2\"} 3.5\na_total 9\na 1\n";
        let scrape = Scrape(text.to_owned());
        assert_eq!((scrape.sum("a"), scrape.of("a", "b=\"2\""), scrape.sum("a_total"), scrape.sum("c")), (6.5, 3.5, 9.0, 0.0));
    }
}
