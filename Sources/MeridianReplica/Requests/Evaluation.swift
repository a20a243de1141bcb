import MeridianCore
import MeridianTransactions

/// A question to a range's applied rows, asked under latches so that the answer still holds when it comes back.
package struct Evaluation: Sendable {
    package enum Body: Sendable {
        /// May this commit happen? `lookUp` first asks whether the request has committed already, or the attempt was
        /// forbidden.
        case commit([Precondition], lookUp: TransactionID?)
        /// May this attempt of a transaction be prepared? Neither it nor another attempt of its request may be over.
        case prepare([Precondition], TransactionID)
        /// Was this attempt committed here, as the anchor, or aborted? `orRequest`: or has any attempt of its request
        /// committed here?
        case standing(TransactionID, orRequest: Bool)
        /// The rows as of a timestamp, if nobody has changed since what the preconditions name, and this request has
        /// not committed here.
        case read([ReadOperation], at: Timestamp, [Precondition], lookUp: RequestID? = nil)
    }

    package var range: RangeID
    /// The range's lower bound, where an erasure leaves its mark.
    package var mark: Key
    package var ticket: Latches.Ticket
    /// The term in which it was asked. Tickets start again with each leadership.
    package var term: Term
    package var body: Body
    /// Asked by `Replica+LocalReads.swift`: the ticket is of its own count, and no latch is held.
    package var isLocal = false
    /// How long a page of rows may be, whatever was asked for.
    package var pageLimits = PageLimits.node
}

package struct EvaluationResult: Sendable {
    package enum Outcome: Sendable {
        case mayCommit
        case alreadyApplied(AppliedRequest)
        /// The attempt was aborted here, and that is remembered.
        case wasAborted
        case pages([Page])
        case failed(MeridianError)
    }

    package var range: RangeID
    package var ticket: Latches.Ticket
    package var term: Term
    package var isLocal = false
    package var outcome: Outcome
}

extension Evaluation {
    /// Asks the rows.
    package func run(with reader: any StateReader) -> EvaluationResult {
        EvaluationResult(range: range, ticket: ticket, term: term, isLocal: isLocal, outcome: outcome(with: reader))
    }

    private func outcome(with reader: any StateReader) -> EvaluationResult.Outcome {
        do {
            switch body {
            case .commit(let preconditions, let lookUp):
                if let lookUp, let end = try self.end(of: lookUp, with: reader) { return end }
                return try violation(of: preconditions, with: reader).map { .failed($0) } ?? .mayCommit
            case .prepare(let preconditions, let id):
                if let end = try self.end(of: id, with: reader) { return end }
                return try violation(of: preconditions, with: reader).map { .failed($0) } ?? .mayCommit
            case .standing(let id, let orRequest):
                if let applied = try reader.outcome(of: id.commitment, in: range) { return .alreadyApplied(applied) }
                if orRequest, let applied = try reader.outcome(of: id.request, in: range) {
                    return .alreadyApplied(applied)
                }
                return try reader.outcome(of: id.abortion, in: range) == nil ? .mayCommit : .wasAborted
            case .read(let operations, let timestamp, let preconditions, let lookUp):
                if let lookUp, let applied = try reader.outcome(of: lookUp, in: range) {
                    return .alreadyApplied(applied)
                }
                if let error = try violation(of: preconditions, with: reader) { return .failed(error) }
                let pages = try pages(of: operations, at: timestamp, with: reader)
                // Asked when the rows have been read: what had gone by then lies below it.
                if try timestamp < reader.threshold(of: range), !Planted.isOn(.readsWhatIsCollected) {
                    return .failed(Self.readTooOld)
                }
                return .pages(pages)
            }
        } catch let error as MeridianError {
            return .failed(error)
        } catch {
            return .failed(MeridianError(.storageFailed, "reading \(range) failed: \(error)"))
        }
    }

    private static var readTooOld: MeridianError {
        MeridianError(
            .readTooOld,
            "the read is as of a time of which older versions are collected by now; read as of a later time, end the "
                + "closure sooner, or raise ClusterConfiguration.retention")
    }

    /// How an attempt has ended here, if that is remembered: its request has committed, or it was forbidden.
    private func end(
        of id: TransactionID, with reader: any StateReader
    ) throws -> EvaluationResult.Outcome? {
        if let applied = try reader.outcome(of: id.request, in: range) { return .alreadyApplied(applied) }
        guard try reader.outcome(of: id.abortion, in: range) != nil else { return nil }
        return .failed(
            MeridianError(.conflict, "this attempt was aborted; run the transaction again", retry: .immediately))
    }

    private func pages(
        of operations: [ReadOperation], at timestamp: Timestamp, with reader: any StateReader
    ) throws -> [Page] {
        let keys = operations.compactMap { operation in
            if case .get(let key) = operation { key } else { nil }
        }
        var found = try keys.isEmpty ? [][...] : reader.read(keys, at: timestamp)[...]
        return try operations.map { operation in
            switch operation.limited(to: pageLimits) {
            case .get(let key):
                guard let version = found.removeFirst(), version.value != nil else { return Page() }
                return Page(rows: [KeyedVersion(key: key, version: version)])
            case .scan(let span, let limit, let byteLimit):
                return try reader.scan(span, at: timestamp, limit: limit, byteLimit: byteLimit)
            case .changes(let span, let since, let limit, let byteLimit):
                return try reader.changes(in: span, since: since, at: timestamp, limit: limit, byteLimit: byteLimit)
            case .digests(let span, let prefix):
                let digests = try reader.digests(of: span, prefix: prefix, at: timestamp, pages: pageLimits)
                // It is no version of a row, and the read's own timestamp need not be past.
                let version = Version(timestamp: .zero, value: digests.encoded)
                return Page(rows: [KeyedVersion(key: span.lower, version: version)])
            case .bucketRows(let span, let prefix, let buckets, let limit, let byteLimit):
                var builder = PageBuilder(span, limit: limit, byteLimit: byteLimit)
                try reader.fill(&builder, span, buckets, prefix: prefix, at: timestamp, pages: pageLimits)
                return builder.page
            }
        }
    }

    /// Why the preconditions do not hold, or cannot be vouched for. That something was written since it was read comes
    /// first: whether a key is taken means nothing to who has read what is no longer so.
    ///
    /// A row that is there says when it was written last. One that is not may have been deleted since it was read, and
    /// then the deletion can have been collected, if the threshold lies above the time of the read; or it was erased.
    /// Of a span nobody knows which rows it has lost.
    private func violation(
        of preconditions: [Precondition], with reader: any StateReader
    ) throws -> MeridianError? {
        if preconditions.isEmpty || Planted.isOn(.conflictUnseen) { return nil }
        var newest = try reader.read(preconditions.compactMap(\.key), at: .distantFuture)[...]
        var erasure: Timestamp??
        /// Whether a deletion after a time can have gone without a trace. To be asked when the rows have been read.
        func canHaveLost(since: Timestamp) throws -> Bool {
            if try since < reader.threshold(of: range) { return true }
            let known = try erasure ?? reader.read(mark, at: .distantFuture)?.timestamp
            erasure = .some(known)
            return known.map { $0 > since } ?? false
        }
        var first: MeridianError?
        for precondition in preconditions {
            switch precondition {
            case .absent:
                if newest.removeFirst()?.value != nil { first = first ?? .duplicateKey }
                continue
            case .present:
                if newest.removeFirst()?.value == nil { first = first ?? .rowNotFound }
                continue
            case .unchanged(_, let since):
                guard try newest.removeFirst().map({ $0.timestamp > since }) ?? canHaveLost(since: since) else {
                    continue
                }
            case .unchangedSpan(let span, let since):
                let latest = try reader.latestTimestamp(in: span)
                guard try latest.map({ $0 > since }) == true || canHaveLost(since: since) else { continue }
            }
            return MeridianError(
                .conflict,
                "a row that the transaction read was written by another one, or so long ago that nobody can tell; run "
                    + "the closure again",
                retry: .immediately)
        }
        return first
    }
}

extension MeridianError {
    fileprivate static var duplicateKey: MeridianError {
        MeridianError(.duplicateKey, "a row with this key exists; update it, or insert under another key")
    }
    fileprivate static var rowNotFound: MeridianError {
        MeridianError(.rowNotFound, "no row has this key; insert it first")
    }
}
