import MeridianCore

/// Routing by what the client itself measures: probes of every region, the nearest healthy one chosen, and left only
/// for a reason.
///
/// - A region's latency is the median of its last five probes: two slow ones move nobody, and a region that answers but
///   has become slow loses its clients after a few. (An exponentially weighted mean, as TCP keeps, was tried: one probe
///   in a hundred that takes three times as long then moved a client 0.7 times an hour, for nothing.)
/// - Another region must be better by a margin, several probes in a row, before it is chosen (hysteresis): two that are
///   equally far do not take turns.
/// - So many failures in a row, of probes or of requests, and a region is *failed* (counted apart: one that answers
///   probes and serves no requests is of no use): it gets nothing more. After a cool-
///   down it is *half open*: probes go to it, requests do not, until so many have succeeded in a row; one failure, and
///   it cools down again (the circuit breaker of Nygard's Release It!).
/// - Where every region has failed, the one that was nearest is asked: there is nothing to lose.
///
/// It is a value: whoever owns it probes when `probesDue` says so, and tells it what came of that.
package struct MeasuredRouter: Sendable {
    package struct Configuration: Hashable, Sendable {
        /// Between two probes of a region.
        package var probeIntervalNanoseconds: Int64 = 5_000_000_000
        /// So many of the newest measurements make the estimate, their median.
        package var window = 5
        /// Another region must be nearer by this share of the current one's latency, and by this much.
        package var marginShare = 0.1
        package var marginNanoseconds: Int64 = 2_000_000
        /// So many measurements of a better region in a row make it the chosen one.
        package var confirmations = 2
        package var failureThreshold = 3
        package var successThreshold = 2
        package var coolDownNanoseconds: Int64 = 5_000_000_000

        package init() {}
    }

    package enum Health: Hashable, Sendable {
        case healthy
        /// Asked nothing until then.
        case failed(until: Instant)
        /// Probed, after a failure, with so many successes in a row so far.
        case halfOpen(successes: Int)
    }

    private struct State: Hashable, Sendable {
        let region: Region
        var health = Health.healthy
        var probeFailures = 0
        var requestFailures = 0
        /// The newest last, in nanoseconds.
        var samples: [Int64] = []
        var nextProbe = Instant.zero
        /// Measurements in a row that were better than the current region's by the margin.
        var wins = 0

        /// The median; the smaller of the two in the middle.
        var estimate: Int64? { samples.isEmpty ? nil : samples.sorted()[(samples.count - 1) / 2] }
    }

    package let configuration: Configuration
    private var states: [State]
    private var chosen = 0

    /// - Parameter regions: the one to begin with first; it is used until the first measurements.
    package init(regions: [Region], configuration: Configuration = Configuration()) {
        precondition(!regions.isEmpty, "a router without regions")
        precondition(Set(regions).count == regions.count, "a region twice among \(regions)")
        precondition(configuration.window >= 1, "a window of \(configuration.window)")
        precondition(
            configuration.failureThreshold >= 1 && configuration.successThreshold >= 1
                && configuration.confirmations >= 1, "thresholds below 1: \(configuration)")
        self.configuration = configuration
        self.states = regions.map { State(region: $0) }
    }

    /// Where requests go.
    package var region: Region { states[chosen].region }
    package var regions: [Region] { states.map(\.region) }

    package func health(of region: Region) -> Health { states[position(region)].health }

    /// The median of the last round trips; `nil` before the first.
    package func latencyNanoseconds(of region: Region) -> Int64? { states[position(region)].estimate }

    /// The other regions to ask when one does not answer: the healthy before the rest, the near before the far.
    package func alternatives(to region: Region) -> [Region] {
        let others = states.indices.filter { states[$0].region != region }
        return others.sorted { rank($0) < rank($1) }.map { states[$0].region }
    }

    // MARK: Probes

    /// The regions to probe now; each is due again an interval later. Failed ones whose time is up become half open.
    package mutating func probesDue(at now: Instant) -> [Region] {
        var due: [Region] = []
        for position in states.indices {
            if case .failed(let until) = states[position].health {
                guard until <= now else { continue }
                states[position].health = .halfOpen(successes: 0)
                states[position].nextProbe = now
            }
            guard states[position].nextProbe <= now else { continue }
            states[position].nextProbe = now.advanced(byNanoseconds: configuration.probeIntervalNanoseconds)
            due.append(states[position].region)
        }
        return due
    }

    /// When `probesDue` is to be asked next.
    package var nextProbe: Instant {
        states.map { state in
            if case .failed(let until) = state.health { until } else { state.nextProbe }
        }.min() ?? .distantFuture
    }

    // MARK: What came of it

    /// A probe was answered.
    package mutating func probed(_ region: Region, roundTripNanoseconds: Int64, at now: Instant) {
        precondition(roundTripNanoseconds >= 0, "\(region) answered \(-roundTripNanoseconds) ns before it was asked")
        let position = position(region)
        switch states[position].health {
        case .failed: return
        case .halfOpen(let successes):
            // What it was like before it failed says nothing.
            states[position].samples = [roundTripNanoseconds]
            guard successes + 1 >= configuration.successThreshold else {
                states[position].health = .halfOpen(successes: successes + 1)
                return
            }
            states[position].health = .healthy
        case .healthy:
            states[position].samples.append(roundTripNanoseconds)
            if states[position].samples.count > configuration.window { states[position].samples.removeFirst() }
        }
        states[position].probeFailures = 0
        choose(after: position)
    }

    /// A request was answered. It tells nothing of the distance, since the work took time too.
    package mutating func succeeded(_ region: Region) { states[position(region)].requestFailures = 0 }

    /// A request was not answered in time, or by nobody.
    package mutating func failed(_ region: Region, at now: Instant) {
        note(\.requestFailures, of: region, at: now)
    }

    /// A probe was not answered in time, or by nobody.
    package mutating func probeFailed(_ region: Region, at now: Instant) {
        note(\.probeFailures, of: region, at: now)
    }

    private mutating func note(_ failures: WritableKeyPath<State, Int>, of region: Region, at now: Instant) {
        let position = position(region)
        switch states[position].health {
        case .failed: return
        case .healthy:
            states[position][keyPath: failures] += 1
            guard states[position][keyPath: failures] >= configuration.failureThreshold else { return }
        case .halfOpen: break
        }
        states[position].health = .failed(until: now.advanced(byNanoseconds: configuration.coolDownNanoseconds))
        (states[position].probeFailures, states[position].requestFailures, states[position].wins) = (0, 0, 0)
        if position == chosen { moveToBest() }
    }

    // MARK: Choosing

    private mutating func choose(after measured: Int) {
        guard isHealthy(chosen), let current = states[chosen].estimate else { return moveToBest() }
        guard measured != chosen else { return }
        guard let estimate = states[measured].estimate, isHealthy(measured) else { return }
        let margin = max(configuration.marginNanoseconds, Int64(Double(current) * configuration.marginShare))
        states[measured].wins = estimate + margin < current ? states[measured].wins + 1 : 0
        if states[measured].wins >= configuration.confirmations { move(to: measured) }
    }

    private mutating func moveToBest() {
        guard let best = states.indices.min(by: { rank($0) < rank($1) }) else { return }
        move(to: best)
    }

    private mutating func move(to position: Int) {
        chosen = position
        for other in states.indices { states[other].wins = 0 }
    }

    private func isHealthy(_ position: Int) -> Bool { states[position].health == .healthy }

    /// What comes first is asked first: the healthy, the measured by their latency, then in the order given.
    private func rank(_ position: Int) -> (Int, Int64, Int) {
        (isHealthy(position) ? 0 : 1, states[position].estimate ?? .max, position)
    }

    private func position(_ region: Region) -> Int {
        guard let position = states.firstIndex(where: { $0.region == region }) else {
            preconditionFailure("no region \(region) among \(regions)")
        }
        return position
    }
}
