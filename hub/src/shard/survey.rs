//! A look at all gyms at once: who trains, who rests. Asked by the drain, answered by the shards.
//!
//! In: what each shard's gyms say. Out: everybody's activity, once every shard has answered or the asker's patience is over: a shard that is late
//! leaves its gyms out, and whoever is not named counts as idle.

use std::collections::HashMap;
use std::time::Duration;

use protocol::TenantId;
use room::{Activity, Gym, Now, Who};
use tokio::sync::mpsc;

use super::{Order, Shards};

/// Everybody's activity, by tenant: a token of another tenant may name any member.
pub type Activities = HashMap<(TenantId, Who), Activity>;

/// The question, as a shard gets it.
pub struct Survey(mpsc::Sender<Activities>);

impl Survey {
    /// Answers for the gyms of one shard. Never waits: the channel has a place for every shard.
    pub(super) fn answer<'a>(&self, gyms: impl Iterator<Item = &'a Gym>, now: Now) {
        let mut found = Activities::new();
        for gym in gyms {
            add(&mut found, gym.activities(now).into_iter().map(|(who, activity)| ((gym.tenant(), who), activity)));
        }
        // Whoever asked may have lost patience.
        drop(self.0.try_send(found));
    }
}

/// Asks every shard, and waits at most `patience` for all of them.
pub async fn survey(shards: &Shards, patience: Duration) -> Activities {
    let (sender, mut answers) = mpsc::channel(shards.len());
    for shard in 0..shards.len() {
        shards.owe(shard, Order::Survey(Survey(sender.clone())));
    }
    drop(sender);
    let mut found = Activities::new();
    let all = async {
        while let Some(answer) = answers.recv().await {
            add(&mut found, answer);
        }
    };
    drop(tokio::time::timeout(patience, all).await);
    found
}

/// Somebody in two gyms is as busy as in the busier one.
fn add(found: &mut Activities, more: impl IntoIterator<Item = ((TenantId, Who), Activity)>) {
    for (who, activity) in more {
        let known = found.entry(who).or_default();
        *known = activity.max(*known);
    }
}
