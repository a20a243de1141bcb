import MeridianCore

/// What a store knows of the ranges' versions without looking at them: what they add up to, how far they are collected,
/// and how far they have been looked through for damage.
///
/// A **round** of collection goes through a range's keys once, in pieces, by the threshold that the range had when it
/// began. What is applied meanwhile lies above that. An **inspection** adds up the versions that are there, in pieces.
/// What comes and goes meanwhile before the place where it stands is added and taken as in the digest, so at its end
/// both must be equal. Only the digest is written down, with the rows that it is of: after a start each range is gone
/// through again.
struct Books: Hashable, Sendable {
    struct Round: Hashable, Sendable {
        var threshold: Timestamp
        /// Where it goes on; `nil` at the range's first key.
        var next: Key?
    }

    struct Inspection: Hashable, Sendable {
        /// Where it goes on; `nil` at the range's first key.
        var next: Key?
        var found = RangeDigest()
    }

    struct Book: Hashable, Sendable {
        /// Of all versions that were applied and not removed since. `nil` in a file of an earlier format, until an
        /// inspection has come to its end.
        var digest: RangeDigest?
        /// The threshold of the last round that came to its end.
        fileprivate var collected = Timestamp.zero
        fileprivate var round: Round?
        var inspection: Inspection?
        fileprivate(set) var isSound = true

        init(_ digest: RangeDigest?) { self.digest = digest }

        mutating func add(_ hash: UInt64, _ key: Key) {
            digest?.add(hash)
            if inspection?.hasPassed(key) == true { inspection?.found.add(hash) }
        }

        mutating func remove(_ hash: UInt64, _ key: Key) {
            digest?.remove(hash)
            if inspection?.hasPassed(key) == true { inspection?.found.remove(hash) }
        }
    }

    private var books: [RangeID: Book] = [:]

    /// A range that is not known has no versions.
    subscript(range: RangeID) -> Book {
        get { books[range] ?? Book(RangeDigest()) }
        _modify {
            var book = books[range] ?? Book(RangeDigest())
            books[range] = nil
            defer { books[range] = book }
            yield &book
        }
    }

    /// The range's rows are these now, all at once.
    mutating func replace(_ range: RangeID, by digest: RangeDigest?) { books[range] = Book(digest) }
    mutating func forget(_ range: RangeID) { books[range] = nil }

    // MARK: Collection

    /// The ranges that have something to collect.
    func uncollected(of states: [RangeID: AppliedState]) -> [RangeID] {
        states.lazy.filter { $0.value.threshold > books[$0.key]?.collected ?? .zero }.map(\.key).sorted()
    }

    /// The round that is under way, or a new one if the threshold has risen.
    func round(of range: RangeID, in states: [RangeID: AppliedState]) -> Round? {
        if let round = self[range].round { return round }
        guard let threshold = states[range]?.threshold, threshold > self[range].collected else { return nil }
        return Round(threshold: threshold, next: nil)
    }

    /// - Parameter next: where the round goes on, or `nil` when it has come to its end.
    mutating func note(_ round: Round, of range: RangeID, next: Key?) {
        guard let next else {
            self[range].round = nil
            self[range].collected = round.threshold
            return
        }
        self[range].round = Round(threshold: round.threshold, next: next)
    }

    // MARK: Inspection

    /// - Parameter next: where the inspection goes on, or `nil` when it has come to its end.
    mutating func note(_ inspection: Inspection, of range: RangeID, next: Key?) -> InspectionProgress {
        guard let next else {
            if let digest = self[range].digest, digest != inspection.found { self[range].isSound = false }
            if self[range].digest == nil { self[range].digest = inspection.found }
            self[range].inspection = nil
            return InspectionProgress(isComplete: true, isSound: self[range].isSound)
        }
        self[range].inspection = Inspection(next: next, found: inspection.found)
        return InspectionProgress(isComplete: false, isSound: self[range].isSound)
    }

    /// A row cannot be read.
    mutating func noteDamage(of range: RangeID) -> InspectionProgress {
        self[range].isSound = false
        self[range].inspection = nil
        return InspectionProgress(isComplete: true, isSound: false)
    }

    // MARK: Reports

    func report(of range: RangeID, _ state: AppliedState) -> DigestReport {
        let book = self[range]
        return DigestReport(
            range: range, index: state.position.index, digest: book.digest ?? RangeDigest(),
            isComplete: book.digest != nil && book.collected >= state.threshold, isSound: book.isSound)
    }
}

extension Books.Inspection {
    func hasPassed(_ key: Key) -> Bool { next.map { key < $0 } ?? false }
}

extension CollectionProgress {
    static let nothing = CollectionProgress(removed: 0, isComplete: true)
}
