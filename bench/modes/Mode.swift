import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// A mode under measurement: how its table is declared, and what its users do.
struct Mode: Sendable {
    /// Counters that all regions increment, rows that one client writes, and heartbeats.
    struct Item: Codable, Sendable {
        var id: String
        var hits: Int
        var version: Int
        var data: String
    }

    let kind: ModeFigures.Kind
    let home: Region
    let table: Table<Item>

    /// A failover by itself, wherever a mode needs one to go on elsewhere: so that its time is defined.
    init(_ kind: ModeFigures.Kind, home: Region) {
        self.kind = kind
        self.home = home
        let name = kind.rawValue
        let here = TableLocality<Item>.regional(in: home)
        switch kind {
        case .synchronousZone:
            table = Table(name, key: \.id, locality: here)
        case .synchronousRegion:
            table = Table(name, key: \.id, locality: here, survival: .region)
        case .semiSynchronous:
            table = Table(
                name, key: \.id, locality: here, mode: .semiSynchronous(remoteRegions: 1), failover: .automatic)
        case .asynchronous:
            table = Table(name, key: \.id, locality: here, mode: .asynchronous, failover: .automatic)
        case .global:
            table = Table(name, key: \.id, locality: .global)
        case .activeActive:
            table = Table(name, key: \.id, convergence: .lastWriterWins)
        case .activeActiveCounters:
            table = Table(name, key: \.id, convergence: .columns(.counter(\.hits)))
        }
    }

    /// Whether every region commits on its own.
    var isConvergent: Bool { kind.isConvergent }

    /// Who chose the mode for its consistency reads strongly; who chose it for its latency, near by.
    var readsStrongly: Bool {
        switch kind {
        case .synchronousZone, .synchronousRegion, .global: true
        case .semiSynchronous, .asynchronous, .activeActive, .activeActiveCounters: false
        }
    }

    /// As of when users read who ask for what is near: of a table that converges, their own copy as it is.
    var local: ReadConsistency { isConvergent ? .strong : .boundedStaleness(.seconds(10)) }

    /// Whether writes go on in another region without a word from anybody when the home region is lost.
    var goesOnElsewhere: Bool { kind != .synchronousZone }

    var planned: PlannedMode {
        switch kind {
        case .synchronousZone: .synchronousZone
        case .synchronousRegion: .synchronousRegion
        case .semiSynchronous: .semiSynchronous(remoteRegions: 1)
        case .asynchronous: .asynchronous
        case .global: .global
        case .activeActive, .activeActiveCounters: .activeActive
        }
    }

    // MARK: Rows

    static let counters = 64
    static let beats = 8

    static func counter(_ number: Int) -> String { "counter-\(number % counters)" }
    static func beat(_ number: Int) -> String { "beat-\(number % beats)" }

    static func item(_ id: String, hits: Int = 0, version: Int = 0) -> Item {
        Item(id: id, hits: hits, version: version, data: payload(by: ""))
    }

    /// 100 bytes that say who wrote the row last: two increments of one number make the same number, and rows that are
    /// equal are no conflict.
    static func payload(by writer: String) -> String {
        writer + String(repeating: "x", count: max(0, 100 - writer.count))
    }
}
