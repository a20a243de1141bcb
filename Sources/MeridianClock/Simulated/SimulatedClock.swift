import MeridianCore

/// A node's clocks as a pure function of the true time and a seed, with the faults that real ones have (DESIGN §5).
///
/// Between two polls of its time servers, every 30 s, the oscillator drifts by up to 200 µs/s and the stated error
/// grows with it from 1 ms to 7 ms: the sawtooth of Spanner §3. At a poll the error drops to 1 ms and a new offset and
/// drift are drawn. The polls of different seeds fall at different times.
///
/// Promises: the interval holds the true time, exactly and always, until a fault that lies is injected, and again
/// when the true time has passed everything that was said under it. The same seed, faults and readings give the same
/// run; the clock's own course depends on the seed and the true time alone, not on how often it is read.
package struct SimulatedClock: Sendable {
    package struct Configuration: Hashable, Sendable {
        package var drift = DriftBound.standard
        package var pollIntervalNanoseconds: Int64 = 30_000_000_000
        /// The stated error right after a poll; the actual one is drawn from what it allows.
        package var errorAtPollNanoseconds: Int64 = 1_000_000

        package init() {}

        /// A clock without error, for runs in which time is not the subject.
        package static let perfect: Configuration = {
            var configuration = Configuration()
            configuration.drift = DriftBound(nanosecondsPerSecond: 0)
            configuration.errorAtPollNanoseconds = 0
            return configuration
        }()
    }

    package let configuration: Configuration
    private let seed: UInt64
    /// Where the node's monotonic clock starts, and how fast it runs.
    private let origin: Timestamp
    private let instantDriftNanosecondsPerSecond: Int64
    private let phaseNanoseconds: Int64
    private var guardian = MonotonicGuard()
    private var lastRead: Timestamp
    /// What the monotonic clock has not counted, and what it said last.
    private var lostNanoseconds: Int64 = 0
    private var lastInstant = Instant.zero
    private var faults = Faults()
    private var inUse: Poll?

    /// The answer of a time server: what the clock errs by from then on.
    private struct Poll: Sendable {
        let number: Int64
        /// When it was asked. The first poll of all was before 1970; what matters is the time since it.
        let asked: Int64
        let offsetNanoseconds: Int64
        let driftNanosecondsPerSecond: Int64
    }

    private struct Faults: Sendable {
        /// Added to every reading until the poll after `steppedAtPoll`.
        var step: (nanoseconds: Int64, steppedAtPoll: Int64)?
        var lieNanoseconds: Int64 = 0
        /// What a stopped clock keeps saying.
        var frozen: ClockInterval?
        /// The last poll that reached a server.
        var lastPoll: Int64?
        var isBoundLost = false
        var strobeNanoseconds: Int64?
    }

    /// - Parameter origin: the true time from which the node's instants count. Precondition: not before 1970.
    package init(seed: UInt64, configuration: Configuration = Configuration(), origin: Timestamp = .zero) {
        precondition(origin >= .zero, "a simulated clock that starts at \(origin)")
        precondition(
            configuration.pollIntervalNanoseconds > 0, "polls every \(configuration.pollIntervalNanoseconds) ns")
        precondition(
            configuration.errorAtPollNanoseconds >= 0, "an error of \(configuration.errorAtPollNanoseconds) ns")
        var random = SplitMix64(seed: seed)
        self.seed = random.next()
        self.configuration = configuration
        self.origin = origin
        self.instantDriftNanosecondsPerSecond = random.within(configuration.drift.nanosecondsPerSecond)
        self.phaseNanoseconds = Int64(random.below(UInt64(configuration.pollIntervalNanoseconds)))
        self.lastRead = origin
    }

    /// Both clocks at a true time. Precondition: not earlier than the last one asked for.
    package mutating func moment(at trueTime: Timestamp) -> Moment {
        precondition(trueTime >= lastRead, "true time went from \(lastRead) back to \(trueTime)")
        lastRead = trueTime
        let elapsed = trueTime.rawValue - origin.rawValue
        let counted = elapsed + scaled(elapsed, by: instantDriftNanosecondsPerSecond) - lostNanoseconds
        let instant = max(lastInstant, Instant(nanoseconds: counted))
        lastInstant = instant
        return Moment(instant: instant, clock: guardian.admit(interval(at: trueTime)))
    }

    /// Starts a fault at a true time, on top of those that last.
    package mutating func inject(_ fault: SimulatedClockFault, at trueTime: Timestamp) {
        switch fault {
        case .step(let nanoseconds):
            let standing = faults.step.map { $0.steppedAtPoll == poll(at: trueTime) ? $0.nanoseconds : 0 } ?? 0
            faults.step = (standing + nanoseconds, poll(at: trueTime))
        case .lie(let nanoseconds): faults.lieNanoseconds = nanoseconds
        case .loseInstants(let nanoseconds):
            precondition(nanoseconds >= 0, "a sleep of \(nanoseconds) ns")
            lostNanoseconds += nanoseconds
        case .freeze: faults.frozen = interval(at: trueTime)
        case .losePolls: faults.lastPoll = poll(at: trueTime)
        case .loseBound: faults.isBoundLost = true
        case .strobe(let nanoseconds):
            precondition(nanoseconds > 0, "a clock that jumps every \(nanoseconds) ns")
            faults.strobeNanoseconds = nanoseconds
        }
    }

    /// Ends every fault. What was said under them is not taken back (`MonotonicGuard`).
    package mutating func heal() { faults = Faults() }

    private mutating func interval(at trueTime: Timestamp) -> ClockInterval {
        if let frozen = faults.frozen { return frozen }
        if faults.isBoundLost { return .unknown }
        let poll = answer(at: trueTime)
        let elapsed = trueTime.rawValue - poll.asked
        let step = faults.step.map { $0.steppedAtPoll == poll.number ? $0.nanoseconds : 0 } ?? 0
        let bound = configuration.errorAtPollNanoseconds + configuration.drift.errorNanoseconds(over: elapsed)
        var error = poll.offsetNanoseconds + scaled(elapsed, by: poll.driftNanosecondsPerSecond)
        if let strobe = faults.strobeNanoseconds {
            let flash = UInt64(bitPattern: trueTime.rawValue / strobe)
            var random = SplitMix64(seed: seed ^ flash &* 0xD6E8_FEB8_6659_FD93)
            error = random.within(bound)
        }
        error += step + faults.lieNanoseconds
        return ClockInterval(reading: trueTime.advanced(byNanoseconds: error), errorNanoseconds: bound)
    }

    /// The poll whose answer is in use.
    private mutating func answer(at trueTime: Timestamp) -> Poll {
        if let inUse, faults.lastPoll == nil, inUse.asked <= trueTime.rawValue,
            trueTime.rawValue - inUse.asked < configuration.pollIntervalNanoseconds
        {
            return inUse
        }
        let number = poll(at: trueTime)
        var random = SplitMix64(seed: seed &+ UInt64(bitPattern: number) &* 0x9E37_79B9_7F4A_7C15)
        let poll = Poll(
            number: number, asked: number * configuration.pollIntervalNanoseconds - phaseNanoseconds,
            offsetNanoseconds: random.within(configuration.errorAtPollNanoseconds),
            driftNanosecondsPerSecond: random.within(configuration.drift.nanosecondsPerSecond))
        inUse = poll
        return poll
    }

    /// The number of the poll whose answer is in use.
    private func poll(at trueTime: Timestamp) -> Int64 {
        faults.lastPoll ?? (trueTime.rawValue + phaseNanoseconds) / configuration.pollIntervalNanoseconds
    }

    /// Rounded towards zero, so that it stays inside `DriftBound.errorNanoseconds`, which is rounded up.
    private func scaled(_ elapsed: Int64, by nanosecondsPerSecond: Int64) -> Int64 {
        let (seconds, rest) = elapsed.quotientAndRemainder(dividingBy: 1_000_000_000)
        return seconds * nanosecondsPerSecond + rest * nanosecondsPerSecond / 1_000_000_000
    }
}

extension SplitMix64 {
    /// A number in `-limit...limit`.
    fileprivate mutating func within(_ limit: Int64) -> Int64 {
        Int64(below(2 * UInt64(limit) + 1)) - limit
    }
}
