import MeridianCore

/// Whether our own clock can be right, judged by what the others say: how a clock that lies beyond its own error
/// bound is found (DESIGN §5).
///
/// Leases and external consistency hold exactly as long as the true time lies in our interval. No node can check
/// that by itself. But every message carries its sender's interval, and two intervals that cannot both hold the true
/// time prove that one of the clocks lies. Marzullo's algorithm says which: a node that shares no instant with a
/// majority is outvoted.
///
/// What happens then: an outvoted node's `interval` becomes at once what covers all that a majority says, moved along
/// our monotonic clock, and `mayLead` turns false, so it gives up its leases and serves through the quorum. It is
/// neither wrong nor dead, only slower. Its own reading counts for nothing beyond its vote: a clock that stands still
/// would otherwise let no commit wait end. A node whose clock is unknown may not lead either. After two polls in a row
/// in which it agrees again, a node is as before. Leaving is not delayed, since a contradiction between sound samples
/// is a proof and not a symptom; coming back is, since a clock that was just stepped is often stepped again.
///
/// A clock that jumps is not believed until the others have been asked: a reading that contradicts the one before,
/// moved along our monotonic clock, suspends the node at once, and it goes by the earlier one. Otherwise what is
/// committed before the next poll would get timestamps of the far future, which everybody had to wait for.
///
/// Use: `admit` for every reading of our own clock, `observe` for every message with an interval, `poll` a few times a
/// second, `interval(at:)` wherever a `ClockInterval` is used for timestamps and leases. Instants are of our own
/// monotonic clock and never go back. Messages carry the clock's own interval, not that of `interval`, or a lying clock
/// would seem to agree.
///
/// HAZARD (majority): if most clocks lie alike, because they follow one bad server, the honest minority is outvoted
/// and nobody notices. Independent sources in different regions are the remedy.
///
/// HAZARD (delay): without `requestSentAt` the upper end of a sample rests on `maximumDelayNanoseconds`. A message that
/// took longer makes its sender look slow and us fast. The harm is on the safe side, since we may give up a lease for
/// nothing; a delay that is bounded too generously only hides errors of ours that are smaller than it.
///
/// HAZARD (start): the first readings of a process have nothing before them, and are believed until the first poll.
///
/// HAZARD (ageing): samples are moved along our own monotonic clock; see `DriftBound`.
///
/// HAZARD (two nodes): of two clocks that contradict each other nobody can tell which lies. Both widen to cover both,
/// and neither leads by lease until they agree.
///
/// HAZARD (silence): with fewer samples than a majority nothing is decided and the last standing remains. A leader in
/// that position loses its leases anyway, because they are renewed by the same peers.
package struct ClockAgreement: Sendable {
    package struct Configuration: Hashable, Sendable {
        /// All nodes whose clocks are compared, this one included.
        package var clusterSize: Int
        package var drift = DriftBound.standard
        /// How long a message can be on its way when nothing measured it.
        package var maximumDelayNanoseconds: Int64 = 1_000_000_000
        /// A sample older than this is forgotten; one of half the age makes room for any newer one.
        package var sampleLifetimeNanoseconds: Int64 = 10_000_000_000
        /// How many polls in a row must agree before an outvoted node leads again.
        package var pollsToReturn = 2

        package init(clusterSize: Int) {
            precondition(clusterSize > 0, "a cluster of \(clusterSize) nodes")
            self.clusterSize = clusterSize
        }
    }

    package enum Standing: Hashable, Sendable {
        /// Becomes `suspended` by one poll without a majority behind us, or with an unknown clock.
        case agreeing
        /// Outvoted, or without a clock. Becomes `agreeing` when `agreedPolls` reaches `pollsToReturn`; a disagreement
        /// starts it over.
        case suspended(agreedPolls: Int)
    }

    private struct Cover: Sendable {
        var sample: ClockSample
        /// A majority vouches for it. Otherwise our own reading may be the right one, and is to be covered too.
        var isMajority: Bool
    }

    package let configuration: Configuration
    package private(set) var standing = Standing.agreeing
    /// What a suspended node goes by. Invariant: `nil` while `standing` is `agreeing`; otherwise it is
    /// there as soon as anybody has said anything.
    private var cover: Cover?
    /// Our clock's last reading.
    private var last: ClockSample?
    /// The best fresh sample of each peer, by node.
    private var samples: [(peer: NodeID, sample: ClockSample)] = []

    package init(configuration: Configuration) { self.configuration = configuration }

    /// Whether leases may be used and taken.
    package var mayLead: Bool { standing == .agreeing }

    /// Our interval for every use: the clock's own, or what the others say while we are suspended. At a change between
    /// the two its ends may go back.
    package func interval(at now: Moment) -> ClockInterval {
        guard let cover else { return now.clock }
        let others = cover.sample.aged(to: now.instant, drift: configuration.drift)
        // What a majority says needs no clock of ours.
        if cover.isMajority { return others }
        return now.clock.isKnown ? now.clock.hull(others) : .unknown
    }

    /// Takes in a reading of our own clock, before it is used.
    package mutating func admit(_ now: Moment) {
        guard now.clock.isKnown else { return }
        if mayLead, let last {
            let past = last.aged(to: now.instant, drift: configuration.drift)
            if past.intersection(now.clock) == nil {
                standing = .suspended(agreedPolls: 0)
                cover = Cover(sample: ClockSample(interval: past, instant: now.instant), isMajority: true)
            }
        }
        last = ClockSample(interval: now.clock, instant: now.instant)
    }

    package var trust: ClockTrust { ClockTrust(last: last, mayLead: mayLead, drift: configuration.drift) }

    /// Takes in a message's interval.
    ///
    /// - Parameters:
    ///   - interval: what the sender's clock said when it sent. An unknown one removes the sender's earlier samples.
    ///   - requestSentAt: an instant of ours before which the message cannot have been sent, such as when we sent the
    ///     request that it answers (or the latest frame that it acknowledges). It bounds the delay without a
    ///     promise about the network.
    ///   - instant: our instant of receipt.
    package mutating func observe(
        _ interval: ClockInterval, from peer: NodeID, requestSentAt: Instant?, at instant: Instant
    ) {
        let position = samples.firstIndex { $0.peer >= peer } ?? samples.count
        let isKnownPeer = position < samples.count && samples[position].peer == peer
        guard interval.isKnown else {
            if isKnownPeer { samples.remove(at: position) }
            return
        }
        let sample = ClockSample(
            received: interval, maximumDelayNanoseconds: maximumDelay(since: requestSentAt, at: instant), at: instant)
        if !isKnownPeer {
            samples.insert((peer, sample), at: position)
        } else if replaces(samples[position].sample, by: sample) {
            samples[position].sample = sample
        }
    }

    /// Judges our clock by the samples at hand. Call it periodically; the standing changes here only.
    @discardableResult
    package mutating func poll(at now: Moment) -> ClockVerdict {
        forgetStaleSamples(at: now.instant)
        let peers = samples.map { $0.sample.aged(to: now.instant, drift: configuration.drift) }
        guard now.clock.isKnown else {
            settle(agrees: false, sources: peers, at: now.instant)
            return ClockVerdict(finding: .unknown, sources: peers.count, support: 0, agreed: nil, outvoted: [])
        }
        let sources = [now.clock] + peers
        guard sources.count > configuration.clusterSize / 2 else {
            return ClockVerdict(finding: .undecided, sources: sources.count, support: 0, agreed: nil, outvoted: [])
        }
        let support = 1 + Marzullo.support(for: now.clock, among: peers)
        let agrees = support >= Self.majority(of: sources)
        settle(agrees: agrees, sources: sources, at: now.instant)
        let agreement = Marzullo.agreement(of: sources).flatMap { $0.count >= Self.majority(of: sources) ? $0 : nil }
        return ClockVerdict(
            finding: agrees ? .agrees : .disagrees, sources: sources.count, support: support,
            agreed: agreement?.interval,
            outvoted: (agreement?.outvoted ?? []).filter { $0 > 0 }.map { samples[$0 - 1].peer })
    }
}

extension ClockAgreement {
    private mutating func settle(agrees: Bool, sources: [ClockInterval], at instant: Instant) {
        switch (standing, agrees) {
        case (.agreeing, true):
            break
        case (_, false):
            standing = .suspended(agreedPolls: 0)
        case (.suspended(let polls), true):
            standing = polls + 1 >= configuration.pollsToReturn ? .agreeing : .suspended(agreedPolls: polls + 1)
        }
        if mayLead {
            cover = nil
        } else {
            cover = covering(sources, at: instant) ?? cover
        }
    }

    /// What holds the true time if a majority is right: every point that as many sources contain, rather than only
    /// those that the most do, because one more liar may stand among them. All that anybody says, if no point has a
    /// majority, or so few were heard that their majority means nothing; `nil` without sources.
    private func covering(_ sources: [ClockInterval], at instant: Instant) -> Cover? {
        guard let first = sources.first else { return nil }
        if sources.count > configuration.clusterSize / 2,
            let common = Marzullo.hull(of: sources, coveredBy: Self.majority(of: sources))
        {
            return Cover(sample: ClockSample(interval: common, instant: instant), isMajority: true)
        }
        let all = sources.dropFirst().reduce(first) { $0.hull($1) }
        return Cover(sample: ClockSample(interval: all, instant: instant), isMajority: false)
    }

    private static func majority(of sources: [ClockInterval]) -> Int { sources.count / 2 + 1 }

    private func maximumDelay(since requestSentAt: Instant?, at instant: Instant) -> Int64 {
        guard let requestSentAt else { return configuration.maximumDelayNanoseconds }
        let roundTrip = instant.nanoseconds(since: requestSentAt)
        precondition(roundTrip >= 0, "answered at \(instant), before the request at \(requestSentAt)")
        return roundTrip + configuration.drift.errorNanoseconds(over: roundTrip)
    }

    /// The narrower one stays, as in NTP's clock filter; but a peer that contradicts its own past has been stepped,
    /// and then only its present counts.
    private func replaces(_ old: ClockSample, by new: ClockSample) -> Bool {
        precondition(new.instant >= old.instant, "a message received at \(new.instant), after one at \(old.instant)")
        let past = old.aged(to: new.instant, drift: configuration.drift)
        return past.intersection(new.interval) == nil
            || new.interval.widthNanoseconds <= past.widthNanoseconds
            || new.instant.nanoseconds(since: old.instant) > configuration.sampleLifetimeNanoseconds / 2
    }

    private mutating func forgetStaleSamples(at instant: Instant) {
        let lifetime = configuration.sampleLifetimeNanoseconds
        samples.removeAll { instant.nanoseconds(since: $0.sample.instant) > lifetime }
    }
}
