//! libp2p: bytes, streams, dials, connected peers.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::label::Label;
use crate::node::Direction;
use crate::register::{RegisterError, add, counter, gauge, gauge_value};

/// What nim-libp2p calls a stream of the one muxer that there is.
const STREAM: &str = "YamuxChannel";

/// Recorder of what libp2p carries. Bytes are counted at each read and write, so both counters are
/// looked up once.
#[derive(Clone, Debug)]
pub struct NetworkMetrics {
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    streams: IntGaugeVec,
    dials: IntCounter,
    peers: IntGauge,
}

impl NetworkMetrics {
    /// Registers `libp2p_network_bytes_total`, `libp2p_open_streams`,
    /// `libp2p_successful_dials_total` and `libp2p_peers`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let name = "libp2p_network_bytes_total";
        let opts = Opts::new(name, "Bytes on the wire, those of encryption with them");
        let bytes = add(registry, name, IntCounterVec::new(opts, &["direction"]))?;
        let name = "libp2p_open_streams";
        let opts = Opts::new(name, "Open streams by who opened them");
        let streams = add(registry, name, IntGaugeVec::new(opts, &["type", "dir"]))?;
        for direction in Direction::ALL {
            streams.with_label_values(&[STREAM, direction.as_str()]);
        }
        Ok(Self {
            bytes_in: bytes.with_label_values(&["in"]),
            bytes_out: bytes.with_label_values(&["out"]),
            streams,
            dials: counter(registry, "libp2p_successful_dials_total", "Dials that connected")?,
            peers: gauge(registry, "libp2p_peers", "Connected peers")?,
        })
    }

    /// Counts bytes read from a connection.
    pub fn read(&self, bytes: usize) {
        self.bytes_in.inc_by(bytes as u64);
    }

    /// Counts bytes written to a connection.
    pub fn written(&self, bytes: usize) {
        self.bytes_out.inc_by(bytes as u64);
    }

    /// A stream was opened, by the peer or by this node.
    pub fn stream_opened(&self, by: Direction) {
        self.streams.with_label_values(&[STREAM, by.as_str()]).inc();
    }

    /// A stream is gone.
    pub fn stream_closed(&self, by: Direction) {
        self.streams.with_label_values(&[STREAM, by.as_str()]).dec();
    }

    /// Counts a dial that connected.
    pub fn dialed(&self) {
        self.dials.inc();
    }

    /// Sets how many peers are connected.
    pub fn peers(&self, count: usize) {
        self.peers.set(gauge_value(count));
    }
}
