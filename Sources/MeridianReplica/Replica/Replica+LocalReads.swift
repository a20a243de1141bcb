import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Reads that any replica serves, at a timestamp that is closed: no latch, no lease, no message.
///
/// A read at `s` is served when
///
/// 1. a promise covers `s` (`Replica+Closing.swift`), and of the log that it asks for everything is applied, except
///    entries that do not touch what is read. The exception is for global tables: their promises are of the future, so
///    the entries that a fresh read still misses are those of the last quorum round trip, and only who reads these very
///    rows waits for them. It rests on Log Matching: an entry of the promise's term at its index makes this log the
///    leaseholder's up to there;
/// 2. no row that it can show is of the future: the last command at or below `s` that is applied is past on every
///    clock. Else another client, elsewhere, could read later and see less;
/// 3. `s` does not lie below the threshold of collection (`Replica+Collection.swift`), judged when the rows have been
///    read (`Evaluation`).
///
/// What is not covered yet waits, if that is likely to be sooner than asking the leaseholder; the gateway says how far
/// that is. Otherwise the answer is `notLeaseholder`, and the gateway asks there.
extension Replica {
    /// What stands in `commitWait` for local reads that wait for the clock.
    static let localReadsToken = UInt64.max

    private enum Readiness {
        case ready
        /// When the clock has passed this.
        case past(Timestamp)
        /// When so many nanoseconds more are closed.
        case unclosed(Int64)
    }

    /// - Returns: `false` when only the leaseholder can serve it.
    mutating func beginLocal(
        _ read: ReadRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) -> Bool {
        // A sealed replica may hold what the next generation does not.
        guard let timestamp = read.timestamp, now.clock.isKnown, raft.membership[node]?.role != .witness,
            !raft.isSealed
        else { return false }
        let patience = read.patienceNanoseconds ?? 0
        let waiting = LocalReads.Read(
            address: address, request: read, timestamp: timestamp,
            patience: now.instant.advanced(byNanoseconds: patience))
        switch readiness(waiting, at: now) {
        case .ready:
            evaluate(waiting, &effects)
        case .past(let moment):
            local.waiting.append(waiting)
            commitWait.insert(moment, Self.localReadsToken)
        case .unclosed(let missing):
            guard missing < patience else { return false }
            local.waiting.append(waiting)
        }
        return true
    }

    private func readiness(_ read: LocalReads.Read, at now: Moment) -> Readiness {
        let timestamp = read.timestamp
        if closed.usable < timestamp, !isUntouched(read), !Planted.isOn(.followerServesUnclosed) {
            let (missing, overflow) = timestamp.rawValue.subtractingReportingOverflow(closed.newest.rawValue)
            return .unclosed(overflow ? .max : max(missing, 0))
        }
        guard let visible = recent.highest(notAfter: timestamp), now.clock.earliest <= visible else { return .ready }
        return .past(visible)
    }

    /// Whether a promise covers the read and the entries that are missing for it write nothing that it reads.
    private func isUntouched(_ read: LocalReads.Read) -> Bool {
        guard let promise = closed.waiting(for: read.timestamp),
            raft.term(at: promise.position.index) == promise.position.term
        else { return false }
        let missing = raft.entries(after: appliedIndex, through: promise.position.index)
        guard missing.count <= Self.maximumMissing else { return false }
        return !missing.contains { entry in read.request.operations.contains { entry.payload.mayWrite(what: $0) } }
    }

    private static var maximumMissing: Int { 256 }

    private mutating func evaluate(_ read: LocalReads.Read, _ effects: inout StepEffects) {
        let ticket = Latches.Ticket(rawValue: local.begin(read))
        effects.evaluate(
            Evaluation(
                range: descriptor.id, mark: descriptor.span.lower, ticket: ticket, term: raft.term,
                body: .read(read.request.operations, at: read.timestamp, []), isLocal: true, pageLimits: pageLimits))
    }

    /// More is closed, more is applied, or time has passed.
    mutating func retryLocalReads(at now: Moment, _ effects: inout StepEffects) {
        guard !local.waiting.isEmpty else { return }
        var still: [LocalReads.Read] = []
        for read in local.waiting {
            switch readiness(read, at: now) {
            case .ready: evaluate(read, &effects)
            case .past(let moment):
                commitWait.insert(moment, Self.localReadsToken)
                still.append(read)
            case .unclosed:
                if read.patience > now.instant {
                    still.append(read)
                } else {
                    effects.reply(notLeaseholder, to: read.address, range: descriptor.id)
                }
            }
        }
        local.waiting = still
    }

    mutating func evaluatedLocal(_ result: EvaluationResult, at now: Moment, _ effects: inout StepEffects) {
        guard let read = local.evaluating.removeValue(forKey: result.ticket.rawValue) else { return }
        let body: RangeReply.Body
        switch result.outcome {
        case .pages(let pages): body = .read(ReadResult(timestamp: read.timestamp, term: .zero, pages: pages))
        case .failed(let error): body = .failed(error)
        case .mayCommit, .alreadyApplied, .wasAborted:
            preconditionFailure("a read of \(descriptor.id) was taken for a commit")
        }
        effects.reply(body, to: read.address, range: descriptor.id)
    }
}

extension EntryPayload {
    /// Whether applying the entry can change what an operation reads. An entry that does anything but change the rows
    /// that it names must say yes, unless it only lets old versions go: they are here still.
    fileprivate func mayWrite(what operation: ReadOperation) -> Bool {
        guard case .command(let command) = self else { return false }
        // What a transaction's commit writes stands in another entry. Its prepare writes nothing yet.
        if let step = command.step { return step.kind == .commit || step.kind == .erase }
        return command.mutations.contains { mutation in
            switch operation.footprint {
            case .key(let key): mutation.key == key
            case .span(let span): span.contains(mutation.key)
            }
        }
    }
}
