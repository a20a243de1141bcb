/// What one mode showed on the workload of `bench-modes`: plain values, from which the table, the charts and the
/// comparison with the design document are made. Times are milliseconds.
package struct ModeFigures: Sendable {
    package struct Percentiles: Sendable, Equatable {
        package var p50: Double
        package var p99: Double

        package init(p50: Double, p99: Double) {
            (self.p50, self.p99) = (p50, p99)
        }
    }

    /// How the mode meets two writes of one row at once.
    package enum Conflicts: Sendable, Equatable {
        /// The closure of a transaction ran again so often.
        case repeatedAttempts(Int)
        /// Concurrent versions were merged, and so many of them listed by `conflicts(of:)`.
        case merged(Int)

        package var count: Int {
            switch self {
            case .repeatedAttempts(let count), .merged(let count): count
            }
        }

        package var word: String {
            switch self {
            case .repeatedAttempts: "repeated"
            case .merged: "merged"
            }
        }
    }

    /// What the loss of the home region did: all its nodes killed at once under load, and started again later.
    package struct Loss: Sendable, Equatable {
        /// From the kill to the first acknowledged write of another region; `nil` when none came until it returned.
        package var recovery: Double?
        /// The same for a client of the lost region, which goes to the next region.
        package var clientRecovery: Double?
        /// How long was waited where none came.
        package var patience: Double
        /// From the return of the nodes to the first acknowledged write, where none came before.
        package var afterReturn: Double?
        /// Acknowledged writes that nobody could see in the outage, once writes went on; `nil` where they did not.
        package var missing: Int?
        /// The age at the kill of the oldest of them; 0 if there were none.
        package var missingAge: Double?
        /// What the failover's own report says can be lost at most.
        package var stated: Double?
        /// Acknowledged writes still missing when the region was back.
        package var missingAfterReturn: Int
        /// How many of them the old home reported (`unshippedCommits(of:)`).
        package var reported: Int

        package init(
            recovery: Double? = nil, clientRecovery: Double? = nil, patience: Double = 0, afterReturn: Double? = nil,
            missing: Int? = nil, missingAge: Double? = nil, stated: Double? = nil, missingAfterReturn: Int = 0,
            reported: Int = 0
        ) {
            self.recovery = recovery
            self.clientRecovery = clientRecovery
            self.patience = patience
            self.afterReturn = afterReturn
            self.missing = missing
            self.missingAge = missingAge
            self.stated = stated
            self.missingAfterReturn = missingAfterReturn
            self.reported = reported
        }
    }

    package enum Kind: String, Sendable, CaseIterable {
        case synchronousZone, synchronousRegion, semiSynchronous, asynchronous, global
        case activeActive, activeActiveCounters

        package var title: String {
            switch self {
            case .synchronousZone: "synchronous, zone survival"
            case .synchronousRegion: "synchronous, region survival"
            case .semiSynchronous: "semi-synchronous (1)"
            case .asynchronous: "asynchronous"
            case .global: "global table"
            case .activeActive: "active-active, last writer wins"
            case .activeActiveCounters: "active-active, counters"
            }
        }
    }

    package var kind: Kind
    /// Writes of a row of the client's own, by clients in the home region, and by all.
    package var writeAtHome: Percentiles
    package var write: Percentiles
    /// Read-modify-write of a row that all regions share, by all clients.
    package var increment: Percentiles
    /// Reads at the leaseholder, by all clients; `nil` where there is none.
    package var strongRead: Percentiles?
    /// The same, from the region that is farthest from home.
    package var farStrongRead: Percentiles?
    /// Reads of bounded staleness at the nearest copy, by all clients.
    package var localRead: Percentiles
    /// Whether the mode's users read strongly.
    package var readsStrongly: Bool
    /// For how long a write had been acknowledged that a local read in another region, when it began, did not show.
    package var staleness: Percentiles
    /// The longest of the same for strong reads; `nil` where there are none.
    package var longestStrongStaleness: Double?
    package var conflicts: Conflicts
    /// Writes acknowledged before the loss, increments among them.
    package var writes: Int
    package var increments: Int
    /// Acknowledged increments that the rows do not show.
    package var lostUpdates: Int
    /// Bytes of keys and rows that crossed from region to region for each acknowledged write, heartbeats included: on
    /// their way to copies, and between clients and leaseholders, reads included.
    package var replicationBytes: Double
    package var clientBytes: Double
    package var loss: Loss
    /// What `meridian plan` predicts for `writeAtHome.p50`.
    package var predictedWriteAtHome: Double?

    package init(
        kind: Kind, writeAtHome: Percentiles, write: Percentiles, increment: Percentiles, strongRead: Percentiles?,
        farStrongRead: Percentiles?, localRead: Percentiles, readsStrongly: Bool, staleness: Percentiles,
        longestStrongStaleness: Double?, conflicts: Conflicts, writes: Int, increments: Int,
        lostUpdates: Int = 0, replicationBytes: Double = 0, clientBytes: Double = 0, loss: Loss = Loss(),
        predictedWriteAtHome: Double? = nil
    ) {
        self.kind = kind
        self.writeAtHome = writeAtHome
        self.write = write
        self.increment = increment
        self.strongRead = strongRead
        self.farStrongRead = farStrongRead
        self.localRead = localRead
        self.readsStrongly = readsStrongly
        self.staleness = staleness
        self.longestStrongStaleness = longestStrongStaleness
        self.conflicts = conflicts
        self.writes = writes
        self.increments = increments
        self.lostUpdates = lostUpdates
        self.replicationBytes = replicationBytes
        self.clientBytes = clientBytes
        self.loss = loss
        self.predictedWriteAtHome = predictedWriteAtHome
    }

    /// What the mode's users do: strong reads where reads are strong, local ones where the mode is chosen for them.
    package var read: Percentiles { readsStrongly ? strongRead ?? localRead : localRead }
    package var conflictsPerThousand: Double { writes == 0 ? 0 : Double(conflicts.count) * 1000 / Double(writes) }
    package var crossRegionBytes: Double { replicationBytes + clientBytes }
}

/// A run of `bench-modes`: where it ran, and what each mode showed.
package struct ModesRun: Sendable {
    package struct Link: Sendable, Equatable {
        package var from: String
        package var to: String
        /// Round trip in milliseconds.
        package var roundTrip: Double

        package init(from: String, to: String, roundTrip: Double) {
            (self.from, self.to, self.roundTrip) = (from, to, roundTrip)
        }
    }

    package var home: String
    package var regions: [String]
    /// Between every two regions.
    package var links: [Link]
    package var modes: [ModeFigures]

    package init(home: String, regions: [String], links: [Link], modes: [ModeFigures]) {
        self.home = home
        self.regions = regions
        self.links = links
        self.modes = modes
    }

    package subscript(_ kind: ModeFigures.Kind) -> ModeFigures? { modes.first { $0.kind == kind } }

    /// Round trips from home, the shortest first.
    package var homeRoundTrips: [Double] {
        links.filter { $0.from == home || $0.to == home }.map(\.roundTrip).sorted()
    }
}
