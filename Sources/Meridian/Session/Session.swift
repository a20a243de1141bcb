import MeridianCore
import MeridianPlacement
import Synchronization

/// One user's requests, one after the other or at once, that belong together: reads show the session's own writes, as
/// its `ReadYourWrites` says, and requests find their way to the nearest region that answers.
///
/// ```swift
/// let session = try cluster.session(near: "eu-west-1", .causal)
/// try await session.write { tx in try await tx.update(profile, in: profiles) }
/// let cookie = session.token?.description
///
/// // On another device, in another region:
/// let other = try cluster.session(near: "us-east-1", .causal, resuming: cookie.flatMap(CausalToken.init))
/// let profile = try await other.read { tx in try await tx.get(id, from: profiles) }
/// ```
///
/// A request through a region that does not answer is repeated through another within its deadline; a commit keeps its
/// id, so it happens once. Safe to use from several tasks.
public final class Session: Sendable {
    public let strategy: ReadYourWrites
    /// How old reads may be that need not show a write.
    public let staleness: Duration
    public let router: RegionRouter
    private let state: Mutex<State>

    public static let defaultStaleness = Duration.seconds(10)

    struct State: Sendable {
        /// Of what the session wrote, and of what it read if its strategy reads after tokens.
        var token: CausalToken?
        var lastWrite: Instant?
        /// The home region of what it wrote last.
        var writtenRegion: Region?
    }

    init(_ strategy: ReadYourWrites, staleness: Duration, router: RegionRouter, token: CausalToken?) {
        self.strategy = strategy
        self.staleness = staleness
        self.router = router
        self.state = Mutex(State(token: token))
    }

    /// Proof of what this session has written and seen; `nil` before its first write, or with strategies that read
    /// after tokens before its first write or read. Whoever reads after it sees at least as much.
    public var token: CausalToken? { state.withLock { $0.token } }

    /// The region through which the next read would go.
    public var gateway: Region { router.order(preferring: plan.region)[0] }

    /// Takes in what another session has written and seen: from now on this one sees it too.
    /// - Throws: `.invalidToken`, `.foreignToken`; `.invalidConfiguration` when the strategy reads after no token.
    public func observe(_ token: CausalToken) throws(MeridianError) {
        try Self.check(token, strategy, router)
        advance(to: token)
    }

    static func check(
        _ token: CausalToken, _ strategy: ReadYourWrites, _ router: RegionRouter
    ) throws(MeridianError) {
        guard strategy.readsAfterToken else {
            throw MeridianError(
                .invalidConfiguration,
                "a session of strategy \(strategy) reads after no token; use causal or homeRegion to go on from one")
        }
        _ = try router.host.seal.timestamp(of: token)
    }

    // MARK: State

    /// How the next read is to be done.
    struct ReadPlan: Hashable, Sendable {
        /// `nil` for the nearest.
        var region: Region?
        var consistency: ReadConsistency
    }

    var plan: ReadPlan {
        let state = state.withLock { $0 }
        let stale = ReadPlan(consistency: .boundedStaleness(staleness))
        switch strategy {
        case .none:
            return stale
        case .sticky:
            guard let region = state.writtenRegion else { return stale }
            return ReadPlan(region: region, consistency: .strong)
        case .readFromPrimary(let window):
            guard let lastWrite = state.lastWrite,
                router.host.now.nanoseconds(since: lastWrite) < window.nanoseconds
            else { return stale }
            return ReadPlan(consistency: .strong)
        case .causal:
            return state.token.map { ReadPlan(consistency: .after($0)) } ?? stale
        case .homeRegion(let home):
            guard let token = state.token, router.region != home else {
                return ReadPlan(region: home, consistency: .strong)
            }
            return ReadPlan(consistency: .after(token))
        }
    }

    /// Where writes go; `nil` for the nearest region.
    var writeRegion: Region? {
        switch strategy {
        case .none, .readFromPrimary, .causal: nil
        case .sticky: state.withLock { $0.writtenRegion }
        case .homeRegion(let home): home
        }
    }

    func noteWrite(_ token: CausalToken, home: Region?) {
        let now = router.host.now
        state.withLock { state in
            state.token = Self.later(state.token, token)
            guard let home else { return }
            state.lastWrite = max(state.lastWrite ?? now, now)
            state.writtenRegion = home
        }
    }

    func noteRead(_ token: CausalToken?) {
        guard strategy.readsAfterToken, let token else { return }
        advance(to: token)
    }

    private func advance(to token: CausalToken) {
        state.withLock { $0.token = Self.later($0.token, token) }
    }

    /// Both are this cluster's: its own, or checked.
    private static func later(_ one: CausalToken?, _ other: CausalToken) -> CausalToken {
        guard let one, one.timestamp >= other.timestamp else { return other }
        return one
    }
}

extension RegionRouter {
    /// A session of a client here.
    /// - Parameters:
    ///   - strategy: how it reads its own writes.
    ///   - staleness: how old its reads may be that need not show a write.
    ///   - token: what it has written and seen before, here or elsewhere.
    /// - Throws: `.invalidToken`, `.foreignToken`; `.unknownRegion` for a home region; `.invalidConfiguration` for a
    ///   token that the strategy has no use for, or a duration that is not positive.
    public func session(
        _ strategy: ReadYourWrites = .causal, staleness: Duration = Session.defaultStaleness,
        resuming token: CausalToken? = nil
    ) throws(MeridianError) -> Session {
        if case .homeRegion(let home) = strategy { try host.topology.require(home) }
        if case .readFromPrimary(let window) = strategy, window <= .zero {
            throw MeridianError(
                .invalidConfiguration, "reading from the primary for \(window) after a write; give a positive duration")
        }
        guard staleness > .zero else {
            throw MeridianError(
                .invalidConfiguration, "a session's staleness of \(staleness) is not positive; use strong reads")
        }
        if let token { try Session.check(token, strategy, self) }
        return Session(strategy, staleness: staleness, router: self, token: token)
    }
}
