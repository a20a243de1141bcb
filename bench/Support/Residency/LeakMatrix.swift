import Foundation
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Ways by which something of a row can come to where it must not be. Each is looked at under each fault.
package enum LeakChannel: String, CaseIterable, Sendable, Hashable {
    // Files.
    case logFile = "log.sqlite and its WAL"
    case stateFile = "state.sqlite, WAL, shared memory"
    case otherFile = "other files of a node and of the cluster"
    // Frames, by kind of message.
    case logEntries = "frames: log entries"
    case snapshots = "frames: snapshot chunks"
    case requests = "frames: reads and commits asked for"
    case transactionParts = "frames: prepares, decisions, wounds"
    case locks = "frames: lock requests and waits"
    case replies = "frames: replies and their errors"
    case control = "frames: votes, heartbeats, closed timestamps"
    // What people and programs are told.
    case logLines = "log lines, all levels"
    case errors = "error texts"
    case receipts = "receipts"
    case tokens = "causal tokens"
    case boundaries = "catalog and range boundaries"
    case descriptions = "descriptions and dumps of internal values"
    case ledger = "the egress ledger's labels"
    case aggregates = "aggregates"
    case certificates = "erasure certificates"

    package static func of(_ message: NodeMessage) -> LeakChannel {
        switch message {
        case .raft: message.channel == .log ? .logEntries : .control
        case .snapshotChunk: .snapshots
        case .wound: .transactionParts
        case .reply: .replies
        case .request(let request):
            switch request.body {
            case .prepare, .resolve: .transactionParts
            case .lock, .unlock: .locks
            case .commit, .read, .transferLease, .transactions, .status: .requests
            }
        case .closed, .quiet, .quietReply, .snapshotReply, .digest, .diverged: .control
        }
    }
}

/// Counts canaries: channel by channel, fault by fault; where they must not be, and where they may.
///
/// A canary under its own law is no leak, but it shows that the search finds what is there.
package final class LeakMatrix: Sendable {
    package struct Cell: Sendable, Hashable {
        package var scannedBytes = 0
        /// Bytes of canaries outside of their jurisdiction.
        package var leakedBytes = 0
        /// Canaries found at home.
        package var foundAtHome = 0
    }

    private struct Place: Hashable, Sendable {
        var fault: String
        var channel: LeakChannel
    }

    private struct State: Sendable {
        var fault = "calm"
        var faults = ["calm"]
        var cells: [Place: Cell] = [:]
        var examples: [String] = []
    }

    private let laws: [Jurisdiction]
    private let counts: [Int]
    private let scan: ByteScan
    private let state = Mutex(State())

    package init(_ canaries: [Canary]) {
        var laws: [Jurisdiction] = []
        var patterns: [[UInt8]] = []
        for canary in canaries {
            for form in canary.forms {
                laws.append(canary.jurisdiction)
                patterns.append(form)
            }
        }
        self.laws = laws
        counts = patterns.map(\.count)
        scan = ByteScan(patterns)
    }

    /// From now on, what is looked at is looked at under this fault.
    package func begin(_ fault: String) {
        BenchRun.note("residency: \(fault)")
        state.withLock { state in
            state.fault = fault
            if !state.faults.contains(fault) { state.faults.append(fault) }
        }
    }

    /// Looks at bytes that are under a law; `nil` for those that may come to anybody.
    package func look(at bytes: [UInt8], _ channel: LeakChannel, under law: Jurisdiction?, _ place: String) {
        note(bytes.withUnsafeBytes { scan.counts(in: $0) }, bytes.count, channel, law, place)
    }

    package func look(at text: String, _ channel: LeakChannel, _ place: String) {
        look(at: Array(text.utf8), channel, under: nil, place)
    }

    /// All fields of a value.
    package func look(into value: Any, _ channel: LeakChannel, under law: Jurisdiction?, _ place: String) {
        for bytes in BytesWithin.all(value) { look(at: bytes, channel, under: law, place) }
    }

    package func look(atFile path: String, _ channel: LeakChannel, under law: Jurisdiction?) throws {
        let (found, count) = try scan.counts(inFile: path)
        note(found, count, channel, law, path)
    }

    private func note(_ found: [Int], _ byteCount: Int, _ channel: LeakChannel, _ law: Jurisdiction?, _ place: String) {
        var cell = Cell(scannedBytes: byteCount)
        for (position, count) in found.enumerated() where count > 0 {
            if laws[position] == law { cell.foundAtHome += count } else { cell.leakedBytes += count * counts[position] }
        }
        state.withLock { [cell] state in
            let key = Place(fault: state.fault, channel: channel)
            var sum = state.cells[key] ?? Cell()
            sum.scannedBytes += cell.scannedBytes
            sum.leakedBytes += cell.leakedBytes
            sum.foundAtHome += cell.foundAtHome
            state.cells[key] = sum
            if cell.leakedBytes > 0, state.examples.count < 20 {
                state.examples.append("\(channel.rawValue), \(state.fault): \(place)")
            }
        }
    }

    package var faults: [String] { state.withLock(\.faults) }
    /// Where the first leaks were.
    package var examples: [String] { state.withLock(\.examples) }
    package subscript(channel: LeakChannel) -> Cell {
        state.withLock { $0.cells }.filter { $0.key.channel == channel }.values.reduce(into: Cell()) { sum, cell in
            sum.scannedBytes += cell.scannedBytes
            sum.leakedBytes += cell.leakedBytes
            sum.foundAtHome += cell.foundAtHome
        }
    }
    package var leakedBytes: Int { LeakChannel.allCases.reduce(0) { $0 + self[$1].leakedBytes } }
    package var scannedBytes: Int { LeakChannel.allCases.reduce(0) { $0 + self[$1].scannedBytes } }
    /// Channels in which anything was looked at.
    package var channels: [LeakChannel] { LeakChannel.allCases.filter { self[$0].scannedBytes > 0 } }

    /// One line a channel, one column a fault: leaked bytes, and beside them what was looked at.
    package var text: String {
        let (faults, cells) = state.withLock { ($0.faults, $0.cells) }
        let width = LeakChannel.allCases.map(\.rawValue.count).max() ?? 0
        func pad(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
        var lines = [pad("leaked bytes / KiB looked at", width) + faults.map { "  " + pad($0, 16) }.joined()]
        for channel in LeakChannel.allCases {
            var line = pad(channel.rawValue, width)
            for fault in faults {
                let cell = cells[Place(fault: fault, channel: channel)] ?? Cell()
                let text = cell.scannedBytes == 0 ? "-" : "\(cell.leakedBytes) / \((cell.scannedBytes + 1023) / 1024)"
                line += "  " + pad(text, 16)
            }
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }
}
