import MeridianCore

/// What the predictor says: plain values, so that a command can print them, a bench can hold them against what it
/// measures, and a table can put them side by side. All times are nanoseconds, p50.

/// One operation's time, and of what it is made.
package struct LatencyPrediction: Hashable, Sendable {
    /// What decides a commit's length beside the way to the leaseholder.
    package enum Limit: String, Hashable, Sendable {
        /// The own disk: nobody else is asked.
        case disk
        /// The copies that the commit rule asks for.
        case quorum
        /// The commit wait: 2ε, or for a global table what is closed ahead.
        case clock
        /// It commits nothing.
        case none
    }

    /// To the node that serves it and back, as often as the engine goes; 0 inside of the client's region.
    package var routeNanoseconds: Int64
    /// What the commit waits for there, distance and clocks alone. The floor: no implementation of the mode is faster.
    package var waitNanoseconds: Int64
    /// The engine's own work.
    package var engineNanoseconds: Int64
    package var limit: Limit
    /// The region that serves it.
    package var servedIn: Region

    package var p50Nanoseconds: Int64 { routeNanoseconds + waitNanoseconds + engineNanoseconds }
    package var floorNanoseconds: Int64 { routeNanoseconds + waitNanoseconds }
}

/// What a client of one region sees of rows of one home.
package struct ClientPrediction: Hashable, Sendable {
    package var region: Region
    package var write: LatencyPrediction
    /// `nil` where no read is strong, as in an active-active table.
    package var strongRead: LatencyPrediction?
    /// A read of bounded staleness, at the nearest replica.
    package var nearestRead: LatencyPrediction
    /// How old that shows rows, half of the time at most.
    package var stalenessNanoseconds: Int64
}

/// What is lost, or cut off.
package enum PlannedFailure: Hashable, Sendable, CustomStringConvertible {
    /// A zone, with its disks.
    case zone(Region, Zone)
    /// A region, with its disks.
    case region(Region)
    case regions(Region, Region)
    /// A region lives and reaches no other.
    case partition(Region)

    package var description: String {
        switch self {
        case .zone(let region, let zone): "zone \(zone) of \(region)"
        case .region(let region): "region \(region)"
        case .regions(let first, let second): "regions \(first) and \(second)"
        case .partition(let region): "partition of \(region)"
        }
    }

    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case zone = "zone of the leaseholder"
        case home = "home region"
        case other = "another region"
        case two = "two regions"
        case partition = "partition of home"
    }
}

/// Which acknowledged commits a failure takes.
package enum PredictedLoss: Hashable, Sendable {
    case nothing
    /// The last ones, up to so many nanoseconds of them.
    case last(nanoseconds: Int64)
    /// All rows, unless the disks come back.
    case everything
}

/// When commits go on after a failure.
package enum PredictedRecovery: Hashable, Sendable {
    /// They never stopped.
    case unaffected
    /// By itself, after so many nanoseconds: detection, election or promotion, and the first commit.
    case after(nanoseconds: Int64)
    /// When somebody promotes a copy.
    case promotion
    /// When what was lost comes back.
    case untilItReturns
}

/// What one failure leaves, for rows of one home. Regions are clients' regions that are alive themselves.
package struct FailurePrediction: Hashable, Sendable {
    package var failure: PlannedFailure
    package var kind: PlannedFailure.Kind
    package var loss: PredictedLoss
    package var recovery: PredictedRecovery
    /// How long that takes in the worst case, as far as timers and distance decide, if it recovers by itself.
    package var recoveryAtMostNanoseconds: Int64?
    /// Once it has recovered by itself, if it does; before any promotion.
    package var writable: [Region]
    package var strongReadable: [Region]
    package var staleReadable: [Region]
    /// Clients' regions that live.
    package var clients: [Region]
}

/// What rows of one home cost.
package struct CostPrediction: Hashable, Sendable {
    package var voters: Int
    package var learners: Int
    package var regions: Int
    /// Bytes kept for each byte of a row's newest version: one a copy. Logs and older versions come on top.
    package var storedBytesPerByte: Int
    /// Bytes of rows that cross a border for one write, shipping to the copies and the way from the client; frames'
    /// headers come on top.
    package var crossRegionBytesPerWrite: Double
    package var crossRegionBytesPerSecond: Double
    /// How often the copies of an active-active table ask each other for news, over a border and with an answer each,
    /// whether anybody writes or not. 0 in other modes.
    package var pullsPerSecond: Double
}

/// A mode's prediction for the rows of one home region.
package struct HomePrediction: Hashable, Sendable {
    /// Where the leaseholder is; `nil` when every region commits alone.
    package var home: Region?
    package var members: [Member]
    /// What the zone goal lacks here; `nil` when nothing.
    package var shortfall: String?
    /// In the topology's order, all regions of the topology.
    package var clients: [ClientPrediction]
    package var failures: [FailurePrediction]
    package var cost: CostPrediction

    package func client(_ region: Region) -> ClientPrediction? { clients.first { $0.region == region } }

    /// The worst of a kind, in the order of what it does to writes.
    package func worst(_ kind: PlannedFailure.Kind) -> FailurePrediction? {
        failures.filter { $0.kind == kind }.max { $0.severity < $1.severity }
    }
}

/// A mode's prediction for a table.
package struct ModePrediction: Hashable, Sendable {
    package var mode: PlannedMode
    /// One for each home region that the table has.
    package var homes: [HomePrediction]
    /// Why the topology cannot carry the mode; then there are no homes.
    package var refusal: String?
    /// What the table's owner wished and this does not keep, in words.
    package var missed: [Wish]

    /// A wish that a mode does not keep.
    package struct Wish: Hashable, Sendable {
        package var name: String
        package var reason: String

        package init(name: String, reason: String) {
            self.name = name
            self.reason = reason
        }
    }

    /// The home whose rows a client of a region writes: its own where there is one.
    package func home(for region: Region) -> HomePrediction? {
        homes.first { $0.home == region } ?? homes.first
    }

    /// The worst of a kind over all homes.
    package func worst(_ kind: PlannedFailure.Kind) -> FailurePrediction? {
        homes.compactMap { $0.worst(kind) }.max { $0.severity < $1.severity }
    }
}

extension FailurePrediction {
    /// Orders failures of one kind: a loss of rows first, then standing still, then a longer pause.
    var severity: (Int, Int64, Int) {
        let loss: Int64 =
            switch self.loss {
            case .nothing: 0
            case .last(let nanoseconds): nanoseconds
            case .everything: .max
            }
        let (stop, pause): (Int, Int64) =
            switch recovery {
            case .unaffected: (0, 0)
            case .after(let nanoseconds): (1, nanoseconds)
            case .promotion: (2, 0)
            case .untilItReturns: (3, 0)
            }
        return (stop, max(pause, loss), clients.count - writable.count)
    }
}
