import Foundation

/// The figures for machines, and what a mode has promised.
extension FigureReport {
    package func add(_ run: ModesRun) {
        for mode in run.modes { add(mode) }
    }

    private func add(_ mode: ModeFigures) {
        let name = "modes.\(mode.kind.rawValue)"
        func add(_ what: String, _ percentiles: ModeFigures.Percentiles?) {
            guard let percentiles else { return }
            self.add("\(name).\(what).p50", percentiles.p50, "ms")
            self.add("\(name).\(what).p99", percentiles.p99, "ms")
        }
        if mode.kind.isConvergent {
            self.add("\(name).write.home.p50", mode.writeAtHome.p50, "ms", .atMost, 2)
            self.add("\(name).write.home.p99", mode.writeAtHome.p99, "ms")
        } else {
            add("write.home", mode.writeAtHome)
        }
        if let predicted = mode.predictedWriteAtHome { self.add("\(name).write.home.predicted", predicted, "ms") }
        add("write", mode.write)
        add("increment", mode.increment)
        add("read", mode.read)
        add("read.strong", mode.strongRead)
        add("read.local", mode.localRead)
        add("staleness", mode.staleness)
        if let longest = mode.longestStrongStaleness {
            self.add("\(name).staleness.strong.max", longest, "ms", .atMost, 0)
        }
        addLoss(mode, name)
        self.add("\(name).conflicts.\(mode.conflicts.word)", Double(mode.conflicts.count), "1")
        if mode.kind == .activeActive {
            self.add("\(name).lostUpdates", Double(mode.lostUpdates), "1")
        } else {
            self.add("\(name).lostUpdates", Double(mode.lostUpdates), "1", .atMost, 0)
        }
        self.add("\(name).bytesPerWrite.copies", mode.replicationBytes, "B")
        self.add("\(name).bytesPerWrite.clients", mode.clientBytes, "B")
    }

    private func addLoss(_ mode: ModeFigures, _ name: String) {
        let loss = mode.loss
        if let recovery = loss.recovery {
            switch mode.kind {
            case .synchronousRegion: add("\(name).rto", recovery / 1000, "s", .atMost, 1.5)
            case .asynchronous: add("\(name).rto", recovery / 1000, "s", .atMost, 5)
            default: add("\(name).rto", recovery / 1000, "s")
            }
        }
        if let recovery = loss.clientRecovery { add("\(name).rto.client", recovery / 1000, "s") }
        if let afterReturn = loss.afterReturn { add("\(name).rto.afterReturn", afterReturn / 1000, "s") }
        if let missing = loss.missing {
            if mode.kind.keepsAll {
                add("\(name).rpo.writes", Double(missing), "1", .atMost, 0)
            } else {
                add("\(name).rpo.writes", Double(missing), "1")
            }
        }
        if let age = loss.missingAge {
            if let stated = loss.stated {
                add("\(name).rpo.milliseconds", age, "ms", .atMost, stated)
            } else {
                add("\(name).rpo.milliseconds", age, "ms")
            }
        }
        // What a failover has left behind is reported, not lost without a word.
        add("\(name).missingUnreported", Double(max(0, loss.missingAfterReturn - loss.reported)), "1", .atMost, 0)
    }
}

extension ModeFigures.Kind {
    /// Whether every region commits on its own, and copies converge.
    package var isConvergent: Bool { self == .activeActive || self == .activeActiveCounters }

    /// Whether the loss of the home region may take no acknowledged write.
    package var keepsAll: Bool {
        switch self {
        case .synchronousZone, .synchronousRegion, .semiSynchronous, .global: true
        case .asynchronous, .activeActive, .activeActiveCounters: false
        }
    }
}

extension ModeFigures {
    /// What the mode promises and did not keep; `nil` if it kept all.
    package var brokenPromise: String? {
        if kind != .activeActive, lostUpdates > 0 { return "\(lostUpdates) acknowledged increments are lost" }
        if let longestStrongStaleness, longestStrongStaleness > 0 {
            return "a strong read did not show what had been acknowledged \(longestStrongStaleness) ms before"
        }
        if kind.keepsAll, let missing = loss.missing, missing > 0 { return "\(missing) acknowledged writes are lost" }
        guard loss.missingAfterReturn <= loss.reported else {
            return "\(loss.missingAfterReturn) acknowledged writes are missing after the region's return, and "
                + "\(loss.reported) reported"
        }
        return nil
    }
}
