//! The rooms, each built of those below it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{records::StoredRecords, store};
use crate::{
    access::Access,
    accounts::AccountService,
    chat::{ChatService, Typing},
    clock::Clock,
    config::Config,
    db::Db,
    id::Ids,
    limits::CallerRates,
    marketplace::MarketplaceService,
    notifications::NotificationService,
    payments::{PaymentService, shkeeper::Shkeeper},
    points::PointsService,
    presence::Presence,
    realtime::Realtime,
    users::Users,
};

/// The rooms, with what they do from time to time under way.
pub(super) struct Rooms {
    pub(super) access: Access,
    pub(super) accounts: AccountService,
    pub(super) chat: ChatService,
    pub(super) marketplace: MarketplaceService,
    pub(super) notifications: NotificationService,
    pub(super) payments: PaymentService,
    pub(super) points: PointsService,
    pub(super) presence: Presence,
    pub(super) typing: Typing,
}

impl Rooms {
    /// Builds them over this store, for as long as nobody stops.
    ///
    /// # Errors
    /// When a room can't do what is configured.
    pub(super) fn start(
        config: &Config,
        clock: &Clock,
        db: &Db,
        realtime: &Realtime,
        users: &Users,
        callers: &CallerRates,
        stopping: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let emitter = realtime.emitter().clone();
        let records = Arc::new(StoredRecords(db.clone()));
        let typing = Typing::start_watch(emitter.clone(), config.realtime.typing_timeout);
        let presence = Presence::start(&config.presence, emitter, clock.clone(), records.clone());
        let sockets = realtime.sockets().clone();
        let access = Access::new(config.rooms.policy, records, db.clone(), sockets);

        let notifications = NotificationService::new(db.clone(), Ids, &config.notifications);
        store::beside(notifications.clone().prune(config.notifications.retention), stopping);
        let points = PointsService::new(db.clone(), Ids, &config.points);

        let chat = ChatService::new(
            db.clone(),
            access.clone(),
            Ids,
            notifications.clone(),
            presence.clone(),
            &config.limits,
        );
        let marketplace = MarketplaceService::new(
            db.clone(),
            access.clone(),
            Ids,
            notifications.clone(),
            config.limits.offers_per_request,
        );

        let shkeeper = Shkeeper::new(&config.shkeeper)?;
        let payments = PaymentService::new(
            db.clone(),
            Ids,
            clock.clone(),
            shkeeper,
            notifications.clone(),
            config,
        );
        store::beside(payments.clone().watch_payouts(config.shkeeper.poll_interval), stopping);
        let accounts = AccountService::new(db, callers, &points, users, config)?;
        store::beside(accounts.clone().prune(), stopping);

        Ok(Self {
            access,
            accounts,
            chat,
            marketplace,
            notifications,
            payments,
            points,
            presence,
            typing,
        })
    }
}
