//! The nodes of the run and the links between them.
//!
//! Node 0 is the store; the chat node of seat `s` is node `s + 1`. Nodes start in this order, and
//! each dials all that started before it, over one [`Link`] a pair. So every connection in the
//! network goes through a link, and what the links do not carry does not arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rand::{Rng, RngExt};
use tokio::sync::watch;
use waku_groupchat_waku::PubsubTopic;

use super::client::Client;
use super::config::{NodeConfig, Ports, TOKEN_FILE, pubsub_topic};
use super::ledger::Ledger;
use super::link::Link;
use super::process::{Alarm, Process};
use super::program::Program;
use super::topology::Topology;
use super::wait::until;

/// Index of the store node.
pub const STORE: usize = 0;
/// How long a node may take to answer after its start.
const START: Duration = Duration::from_secs(30);
/// How long the mesh may take to follow a change of the links.
const SETTLE: Duration = Duration::from_secs(60);
/// Mesh peers that gossipsub is content with (`D_low`): it takes more only below that.
const MESH_LOW: usize = 4;
/// Ports below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// The mesh gauge of a node.
const MESH_GAUGE: &str = "libp2p_gossipsub_peers_per_topic_mesh";

/// Nodes, links, and what the nodes published.
#[derive(Debug)]
pub struct Network {
    program: Program,
    topic: PubsubTopic,
    nodes: Vec<Node>,
    links: BTreeMap<(usize, usize), Link>,
    wanted: Topology,
    ledger: Ledger,
    alarm: Alarm,
}

/// One node.
pub struct Node {
    /// Its name, also that of its folder.
    pub name: String,
    /// Its folder, with configuration, data and log.
    pub folder: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// Asks it.
    pub client: Client,
    peer_id: String,
    process: Option<Process>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Node {
    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("node.toml")
    }

    /// The file with the token of its chat API.
    pub fn token_file(&self) -> PathBuf {
        self.folder.join(TOKEN_FILE)
    }

    /// Whether its process is meant to run.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Network {
    /// No nodes yet.
    pub fn new(program: Program) -> anyhow::Result<Self> {
        Ok(Self {
            program,
            topic: pubsub_topic()?,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            wanted: Topology::full(0),
            ledger: Ledger::default(),
            alarm: watch::channel(None).0,
        })
    }

    /// Where a node is reported that ends without being told to.
    pub fn alarm(&self) -> watch::Receiver<Option<String>> {
        self.alarm.subscribe()
    }

    /// Starts the store and one chat node for each name, linked all to all, each with a folder of
    /// its own in `folder`.
    pub async fn start(
        &mut self,
        folder: &Path,
        seats: &[String],
        rng: &mut impl Rng,
    ) -> anyhow::Result<()> {
        let folder = folder.canonicalize()?;
        self.add("store", &folder, rng).await?;
        for seat in seats {
            self.add(seat, &folder, rng).await?;
        }
        self.wanted = Topology::full(self.nodes.len());
        self.settle().await
    }

    /// A node.
    pub fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// All nodes, the store first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The pubsub topic of the extension.
    pub fn topic(&self) -> PubsubTopic {
        self.topic
    }

    /// What the nodes published.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The topology with every link up.
    pub fn full(&self) -> Topology {
        Topology::full(self.nodes.len())
    }

    /// Cuts and heals links until just these are up, and waits until the nodes' meshes follow.
    ///
    /// Before a cut it waits until the store holds what it has to, so that nothing is on the way.
    pub async fn rewire(&mut self, wanted: Topology) -> anyhow::Result<()> {
        self.stored().await?;
        // Both sides of the change: who loses the store's reach loses it before the cut.
        self.ledger.advance(self.reaching(&self.wanted.common(&wanted)))?;
        for ((low, high), link) in &mut self.links {
            if wanted.has(*low, *high) {
                link.heal().await?;
            } else {
                link.cut().await;
            }
        }
        self.wanted = wanted;
        self.settle().await
    }

    /// Waits until the store holds every publish that could reach it.
    pub async fn stored(&mut self) -> anyhow::Result<()> {
        let (client, topic) = (self.nodes[STORE].client.clone(), self.topic);
        let ledger = &mut self.ledger;
        until("the store holds what was published", SETTLE, async || {
            ledger.catch_up()?;
            let held: BTreeSet<String> = client.archived(&topic).await?.into_iter().collect();
            let must = ledger.publishes().iter().filter(|publish| publish.reaches_store);
            Ok(must.map(|publish| &publish.what.hash).all(|hash| held.contains(hash)).then_some(()))
        })
        .await
    }

    /// Kills a node, for good unless it is started again.
    pub async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.leave(node).await?.kill().await;
        Ok(())
    }

    /// Shuts a node down and starts it again.
    pub async fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.leave(node).await?.stop().await;
        self.launch(node).await
    }

    /// Takes a node out before its process ends; what it still publishes need not arrive.
    async fn leave(&mut self, node: usize) -> anyhow::Result<Process> {
        self.stored().await?;
        let leaving = &mut self.nodes[node];
        let process = leaving.process.take();
        let process = process.with_context(|| format!("node {} does not run", leaving.name))?;
        self.ledger.advance(self.reaching(&self.wanted))?;
        Ok(process)
    }

    /// Heals every link, also those of nodes that were stopped: for whoever starts them again.
    pub async fn heal_all(&mut self) -> anyhow::Result<()> {
        for link in self.links.values_mut() {
            link.heal().await?;
        }
        Ok(())
    }

    /// Shuts down all nodes that run, and forgets all there was.
    pub async fn clear(&mut self) {
        self.stop().await;
        self.nodes.clear();
        self.links.clear();
        self.wanted = Topology::full(0);
        self.ledger = Ledger::default();
    }

    /// Shuts down all nodes that run.
    pub async fn stop(&mut self) {
        let running = self.nodes.iter_mut().filter_map(|node| node.process.take());
        let stops: Vec<_> = running.map(|process| tokio::spawn(process.stop())).collect();
        for stop in stops {
            // Its process is dropped with it, and killed by that.
            let _ = stop.await;
        }
    }

    async fn add(&mut self, name: &str, folder: &Path, rng: &mut impl Rng) -> anyhow::Result<()> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let ports = free_ports(rng)?;
        let client = Client::new(name, ports);
        let node = Node {
            name: name.to_owned(),
            folder,
            ports,
            client,
            peer_id: String::new(),
            process: None,
        };
        let index = self.nodes.len();
        let peers = self.link_to_all(index)?;
        let shard = self.topic.shard();
        let config = match peers.first() {
            None => NodeConfig::store(&node.folder, ports, shard),
            Some(store) => NodeConfig::chat(&node.folder, ports, shard, store.clone()),
        };
        config.with_static_nodes(peers).write(&node.config())?;
        self.ledger.add(node.log());
        self.nodes.push(node);
        self.launch(index).await
    }

    /// A link from a new node to each one before it; their addresses over those links.
    fn link_to_all(&mut self, new: usize) -> anyhow::Result<Vec<String>> {
        let mut addresses = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let link = Link::open(SocketAddr::from((Ipv4Addr::LOCALHOST, node.ports.tcp)))?;
            addresses.push(format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", link.port(), node.peer_id));
            self.links.insert((index, new), link);
        }
        Ok(addresses)
    }

    /// Starts a node's process, and waits until it answers.
    async fn launch(&mut self, index: usize) -> anyhow::Result<()> {
        let (program, alarm) = (&self.program, self.alarm.clone());
        let node = &mut self.nodes[index];
        let (folder, config, log) = (&node.folder, node.config(), node.log());
        let process = Process::start(&node.name, program, folder, &config, &log, alarm)?;
        node.process = Some(process);
        let what = format!("node {} answers", node.name);
        let client = node.client.clone();
        node.peer_id =
            until(what, START, async || Ok(client.peer_id().await.ok().flatten())).await?;
        if index != STORE {
            node.client = node.client.clone().with_token(&node.token_file())?;
        }
        Ok(())
    }

    /// Waits until each node's mesh has the peers that its links give it; from then on what they
    /// publish has to reach the store where they reach it.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        let standing = self.standing(&self.wanted);
        let expected: Vec<(String, Client, usize)> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].runs())
            .map(|node| {
                let Node { name, client, .. } = &self.nodes[node];
                (name.clone(), client.clone(), standing.degree(node).min(MESH_LOW))
            })
            .collect();
        for (name, client, peers) in expected {
            until(format!("node {name} has {peers} mesh peers"), SETTLE, async || {
                let mesh = gauge(&client.metrics().await?, MESH_GAUGE).min(MESH_LOW);
                Ok((mesh == peers).then_some(()))
            })
            .await?;
        }
        self.ledger.advance(self.reaching(&self.wanted))?;
        Ok(())
    }

    /// The links between nodes that run.
    fn standing(&self, topology: &Topology) -> Topology {
        let stopped: Vec<usize> =
            (0..self.nodes.len()).filter(|node| !self.nodes[*node].runs()).collect();
        topology.without(&stopped)
    }

    fn reaching(&self, topology: &Topology) -> BTreeSet<usize> {
        self.standing(topology).reaching(STORE)
    }
}

/// Three loopback ports that are free now, and that the system gives to nobody by itself.
fn free_ports(rng: &mut impl Rng) -> anyhow::Result<Ports> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    std::iter::repeat_with(|| rng.random_range(PORTS))
        .take(200)
        .find(|port| (0..3).all(|more| free(port + more)))
        .map(|port| Ports { tcp: port, rest: port + 1, metrics: port + 2 })
        .context("no free ports between 20000 and 30000 in 200 tries")
}

/// The sum of a gauge over its labels, in Prometheus' text format; zero where it is not there.
fn gauge(metrics: &str, name: &str) -> usize {
    let value = |line: &str| -> Option<f64> {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse().ok()).flatten()
    };
    metrics.lines().filter_map(value).sum::<f64>() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_a_gauge() {
        let text = "# HELP mesh x\nmesh{shard=\"1\"} 3\nmesh{shard=\"2\"} 1\nmesh_other 7\n";
        assert_eq!(gauge(text, "mesh"), 4);
        assert_eq!(gauge(text, "none"), 0);
    }
}
