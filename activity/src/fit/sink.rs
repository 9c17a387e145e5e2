//! A file in memory, as the encoder and the decoder want one.

use std::convert::Infallible;

use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};

/// Bytes that can be written from any place on.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) bytes: Vec<u8>,
    at: usize,
}

impl ErrorType for Sink {
    type Error = Infallible;
}

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> Result<usize, Infallible> {
        let over = piece.len().min(self.bytes.len() - self.at);
        self.bytes[self.at..self.at + over].copy_from_slice(&piece[..over]);
        self.bytes.extend_from_slice(&piece[over..]);
        self.at += piece.len();
        Ok(piece.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Seek for Sink {
    /// Never past the end: there is nothing to be filled up.
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Infallible> {
        let (from, by) = match to {
            SeekFrom::Start(place) => (0, i64::try_from(place).unwrap_or(i64::MAX)),
            SeekFrom::End(by) => (self.bytes.len(), by),
            SeekFrom::Current(by) => (self.at, by),
        };
        let by = isize::try_from(by).unwrap_or(isize::MAX);
        self.at = from.saturating_add_signed(by).min(self.bytes.len());
        Ok(self.at as u64)
    }
}

/// Bytes to be read from the front.
pub(super) struct Source<'a>(pub(super) &'a [u8]);

impl ErrorType for Source<'_> {
    type Error = Infallible;
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let taken = into.len().min(self.0.len());
        let (head, rest) = self.0.split_at(taken);
        into[..taken].copy_from_slice(head);
        self.0 = rest;
        Ok(taken)
    }
}
