//! The rooms, each built of those below it, and who asks them by event.

use std::sync::Arc;

use super::{ground::Ground, personal, records::StoredRecords};
use crate::{
    access::{self, Access},
    accounts::AccountService,
    admin::{Admin, Instrument, Sales, Storage},
    bridge::SocketCommands,
    chat::{self, ChatService, Typing},
    control::{Control, ControlListener},
    db::Db,
    id::Ids,
    idempotency::Idempotency,
    marketplace::{self, MarketplaceService},
    notifications::NotificationService,
    payments::{PaymentService, shkeeper::Shkeeper},
    points::PointsService,
    presence::{self, Follower, Presence},
    proxy::{Backend, Proxy},
    realtime::{Commands, EmitService, Inspector, Observer, Realtime, Recovery},
    users::Users,
    webhooks::{PresenceLog, Webhooks},
};

/// The rooms. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rooms {
    pub(super) access: Access,
    pub(super) accounts: AccountService,
    pub(super) admin: Admin,
    pub(super) chat: ChatService,
    pub(super) idempotency: Idempotency,
    pub(super) instrument: Option<Instrument>,
    pub(super) marketplace: MarketplaceService,
    pub(super) notifications: NotificationService,
    pub(super) payments: PaymentService,
    pub(super) points: PointsService,
    pub(super) presence: Presence,
    pub(super) proxy: Option<Proxy>,
    pub(super) sales: Sales,
    pub(super) storage: Storage,
    pub(super) typing: Typing,
    pub(super) users: Users,
    pub(super) presence_log: Option<PresenceLog>,
    pub(super) webhooks: Webhooks,
}

impl Rooms {
    /// Builds them over this store.
    ///
    /// # Errors
    /// When the store can't be read, or a room can't do what is configured.
    pub(super) async fn open(
        ground: &Ground,
        db: &Db,
        realtime: &Realtime,
    ) -> anyhow::Result<Self> {
        let Ground { config, clock, authenticator, callers, tasks, .. } = ground;
        let idempotency = Idempotency::start(db.clone(), authenticator.clone()).await?;
        let notifications = NotificationService::new(db.clone(), Ids, &config.notifications);
        let users = Users::start(
            db.clone(),
            realtime.clone(),
            authenticator.verifier().revocations().clone(),
            ground.minter.clone(),
            clock.clone(),
            config,
            personal::parts(notifications.clone()),
        );
        let users = users.await?;

        let emitter = realtime.emitter().clone();
        let backend = Backend::new(config, clock.clone(), ground.readiness.clone())?;
        let records = Arc::new(StoredRecords { db: db.clone(), backend: backend.clone() });
        let typing = Typing::start_watch(emitter.clone(), config.realtime.typing_timeout, tasks);
        let presence_log = PresenceLog::of(&config.webhooks.all(), db, clock);
        let follower = presence_log.clone().map(|log| Arc::new(log) as Arc<dyn Follower>);
        let contacts = records.clone();
        let presence = Presence::start(
            &config.presence,
            emitter,
            clock.clone(),
            contacts,
            follower,
            ground.cluster.clone(),
            tasks,
        );
        let sockets = realtime.sockets().clone();
        let access = Access::new(config.rooms.policy, records, db, &sockets, tasks);
        let proxy = backend.map(|backend| {
            // It is told of them.
            authenticator.verifier().keep_claims();
            let emits = EmitService::new(db.clone(), realtime.emitter().clone());
            Proxy::new(backend, &config.proxy, access.clone(), emits, sockets)
        });
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
        let payments = PaymentService::new(
            db.clone(),
            Ids,
            clock.clone(),
            Shkeeper::new(&config.shkeeper)?,
            notifications.clone(),
            config,
        );
        let catalogue = &ground.catalogue;
        let webhooks = Webhooks::start(config, db, clock, catalogue, &presence);
        let webhooks = Box::pin(webhooks).await?;
        let emits = EmitService::new(db.clone(), realtime.emitter().clone());
        Ok(Self {
            instrument: Instrument::start(
                config,
                realtime,
                emits,
                callers.clone(),
                ground.cluster.clone(),
                clock,
                tasks,
            ),
            sales: Sales::new(db.clone(), config),
            storage: Storage::new(db.clone(), config),
            accounts: AccountService::new(db, callers, &points, &users, config)?,
            admin: Admin::new(
                config,
                ground.metrics.clone(),
                ground.readiness.clone(),
                ground.cluster.clone(),
                clock.clone(),
            )?,
            access,
            chat,
            idempotency,
            marketplace,
            notifications,
            payments,
            points,
            presence,
            proxy: proxy.transpose()?,
            typing,
            users,
            presence_log,
            webhooks,
        })
    }

    /// Does for this node's sockets what another process says.
    pub(super) fn controlled(&self, realtime: &Realtime) -> ControlListener {
        let (access, users, realtime) = (self.access.clone(), self.users.clone(), realtime.clone());
        Arc::new(move |control| {
            let (access, users, realtime) = (access.clone(), users.clone(), realtime.clone());
            Box::pin(async move {
                match control {
                    Control::Evict { user, rooms } => access.evict(&user, &rooms).await,
                    Control::Recheck { room } => access.recheck(&room).await,
                    Control::ShutOut { change } => users.apply_others(&change).await,
                    Control::Disconnect { user, except_session } => {
                        users.disconnect_others(&user, except_session.as_deref()).await;
                    }
                    Control::Displace { socket, generation } => {
                        realtime.displace(socket, generation);
                    }
                    Control::Sockets { command } => {
                        SocketCommands::new(access, realtime).carry_out(command).await;
                    }
                }
            })
        })
    }

    /// Lets sockets in, which ask these rooms.
    ///
    /// # Errors
    /// When an event has no command.
    pub(super) fn listen(&self, recovery: Recovery, realtime: &Realtime) -> anyhow::Result<()> {
        realtime.recover(recovery, Arc::new(self.access.clone()));
        let mut commands = Commands::new(self.proxy.as_ref().map(Proxy::elsewhere));
        access::commands(&self.access, &mut commands);
        presence::commands(&self.presence, &mut commands);
        chat::commands(&self.access, &self.chat, &self.typing, &mut commands);
        marketplace::commands(&self.access, &mut commands);
        let instrument = self.instrument.clone();
        commands.inspect(instrument.map(|it| Arc::new(it) as Arc<dyn Inspector>));
        let observers: Vec<Arc<dyn Observer>> =
            vec![Arc::new(self.presence.clone()), Arc::new(self.typing.clone())];
        Ok(realtime.listen(commands, observers)?)
    }
}
