import MeridianCore

/// The ways to replicate a table between which a user chooses: a replication mode with the survival goal or locality
/// that goes with it (docs/MODES.md).
package enum PlannedMode: Hashable, Sendable, CustomStringConvertible {
    /// A majority of three zones at home.
    case synchronousZone
    /// A majority of voters over three regions.
    case synchronousRegion
    /// A majority at home, and copies in this many other regions.
    case semiSynchronous(remoteRegions: Int)
    /// A majority at home; other regions follow.
    case asynchronous
    /// Every region commits alone, ships, and converges.
    case activeActive
    /// One home, a copy in every region, closed ahead of the clock: fresh reads everywhere.
    case global

    /// The name in plan files, options and output.
    package var description: String {
        switch self {
        case .synchronousZone: "synchronous-zone"
        case .synchronousRegion: "synchronous-region"
        case .semiSynchronous(let regions): "semi-synchronous-\(regions)"
        case .asynchronous: "asynchronous"
        case .activeActive: "active-active"
        case .global: "global"
        }
    }

    /// All that a topology of so many regions can have, the nearest to the default first.
    package static func all(regions: Int) -> [PlannedMode] {
        [.synchronousZone, .synchronousRegion]
            + (1...max(1, min(2, regions - 1))).map { .semiSynchronous(remoteRegions: $0) }
            + [.asynchronous, .activeActive, .global]
    }

    /// The mode with this name; semi-synchronous takes any number of regions.
    package init?(_ name: String) {
        let fixed: [PlannedMode] = [.synchronousZone, .synchronousRegion, .asynchronous, .activeActive, .global]
        if let mode = fixed.first(where: { $0.description == name }) {
            self = mode
            return
        }
        let prefix = "semi-synchronous-"
        guard name.hasPrefix(prefix), let regions = Int(name.dropFirst(prefix.count)), regions > 0 else { return nil }
        self = .semiSynchronous(remoteRegions: regions)
    }

    /// The names to choose from, for suggestions.
    package static var names: [String] { all(regions: 3).map(\.description) }
}
