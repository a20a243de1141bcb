import MeridianCore

@testable import MeridianTransactions

/// A client, two gateways and a few ranges, with one request that is committed over them, in a world where any message
/// takes any time, comes twice or never, leases move, gateways die and anybody may begin a recovery.
///
/// The client is one of two kinds. Who **repeats calls** asks again under the same id, without knowing what became of
/// the calls before, for the same ranges. Whose closure **runs again** knows its attempts (`ClientRequest`): each run
/// reads anew, and reads and writes other ranges than the last, with another anchor; before the next it has the one of
/// unknown outcome settled, through any gateway.
///
/// The gateways' part is `NodeCore+Transactions`' and `Gateway`'s: a call is asked again until it is answered or given
/// up, and says whether it was asked more than once. One seed is one run.
struct CommitModel {
    enum Client {
        case repeatsCalls
        case runsAgain
        /// The bug that this is about: the closure runs again while its last attempt may commit.
        case leavesAttemptsOpen
    }

    /// One run of the closure.
    struct Attempt {
        var id: TransactionID
        var writers: [RangeID]
        var readers: [RangeID]
        var anchor: RangeID
        /// As of when it has read all ranges.
        var readAt: Timestamp
    }

    struct Coordinator {
        var machine: CommitCoordinator
        var attempt: Attempt
        var gateway: Int
        var isRepeated: Bool
        var candidate: Timestamp
        var isAlive = true
        /// The client waits for its outcome.
        var hasClient = true
    }

    struct RecoveryName: Hashable {
        var gateway: Int
        var id: TransactionID
    }

    /// A client waits to hear what has become of an attempt.
    struct Settling {
        var gateway: Int
        /// Of the attempt that was open where it asked, this one or another.
        var machine: Recovery?
    }

    struct Recovering {
        var machine: Recovery
        var waiting: [(coordinator: Int, range: RangeID)] = []
    }

    enum Message {
        case request(ModelCall.ID, ModelCall.Body, RangeID, boundTo: UInt64?)
        case reply(ModelCall.ID, ModelCall.Reply)
    }

    /// How hostile the world is.
    var faults = true
    private(set) var random: SplitMix64
    private(set) var ranges: [ModelRange]
    private(set) var coordinators: [Coordinator] = []
    private(set) var recoveries: [RecoveryName: Recovering] = [:]
    private(set) var calls: [ModelCall.ID: ModelCall] = [:]
    private(set) var messages: [Message] = []
    private var nextCall = 1
    private var clock: Int64 = 1_000
    let request = RequestID(high: 7, low: 7)
    let client: Client
    /// Attempts of which the client was told that they did not happen, and will not.
    private(set) var ruledOut: Set<TransactionID> = []
    private(set) var told: Timestamp?
    /// The attempt that the client takes for the one that has committed.
    private(set) var toldOf: TransactionID?
    private(set) var attempts: [Attempt] = []
    private(set) var settling: [TransactionID: Settling] = [:]
    private var restarts = 3
    private var leaseMoves = 3
    /// What happens, if somebody wants to read it.
    var trace: Trace?

    final class Trace { var lines: [String] = [] }

    init(seed: UInt64, client: Client = .repeatsCalls) {
        self.client = client
        random = SplitMix64(seed: seed)
        let writerCount = 1 + random.below(3)
        let readerCount = random.below(3)
        ranges = (1...(writerCount + readerCount)).map { ModelRange(RangeID($0)) }
        writers = (1...writerCount).map { RangeID($0) }
        readers = (0..<readerCount).map { RangeID(writerCount + 1 + $0) }
    }

    /// What the closure reads and writes when it runs first.
    private let writers: [RangeID]
    private let readers: [RangeID]

    var now: Timestamp { Timestamp(nanoseconds: clock) }

    // MARK: Running

    /// A hostile time, and then a quiet one in which everything comes to its end.
    /// - Returns: whether it did.
    mutating func run() -> Bool {
        let length = 20 + Int(random.below(200))
        begin(isRepeated: false)
        for _ in 0..<length { step() }
        faults = false
        for slot in ranges.indices { ranges[slot].isOverloaded = false }
        for round in 0..<3_000 {
            if isQuiet { return true }
            step()
            if round % 20 == 0 { recoverEverything() }
        }
        return false
    }

    var isQuiet: Bool {
        messages.isEmpty && calls.isEmpty && settling.isEmpty && ranges.allSatisfy(\.isIdle)
            && coordinators.allSatisfy { !$0.isAlive || $0.machine.isOver }
    }

    private mutating func step() {
        clock += Int64(1 + random.below(20))
        if faults, random.below(5) == 0 { return disturb() }
        // Whatever was lost is asked again in the end.
        if !faults, random.below(8) == 0, let call = randomCall(), !isUnderWay(call) { return askAgain(call) }
        let busy = ranges.indices.filter { !ranges[$0].pending.isEmpty }
        if !busy.isEmpty, messages.isEmpty || random.below(3) == 0 {
            let slot = busy[Int(random.below(UInt64(busy.count)))]
            note("\(ranges[slot].id) commits \(ranges[slot].pending[0])")
            for (call, reply) in ranges[slot].commitFirst() { messages.append(.reply(call, reply)) }
        } else if !messages.isEmpty {
            deliverOne()
        }
    }

    private func note(_ text: @autoclosure () -> String) { trace?.lines.append(text()) }

    private func isUnderWay(_ call: ModelCall.ID) -> Bool {
        messages.contains { message in
            switch message {
            case .request(let other, _, _, _), .reply(let other, _): other == call
            }
        }
    }

    private mutating func deliverOne() {
        // Mostly in order, as links are; sometimes not at all.
        let position = random.below(3) > 0 ? 0 : Int(random.below(UInt64(messages.count)))
        let message = messages.remove(at: position)
        if faults, random.below(12) == 0 { return note("lost \(message)") }
        if faults, random.below(12) == 0 { messages.append(message) }
        note("\(message)")
        switch message {
        case .request(let call, let body, let range, let term): ask(call, body, range, boundTo: term, message)
        case .reply(let call, let reply): received(reply, to: call)
        }
    }

    private mutating func disturb() {
        switch random.below(13) {
        case 0, 1:
            let slot = Int(random.below(UInt64(ranges.count)))
            ranges[slot].serveRead(at: now.advanced(byNanoseconds: Int64(random.below(40))))
        case 2:
            let slot = Int(random.below(UInt64(ranges.count)))
            ranges[slot].isOverloaded.toggle()
        case 3 where random.below(3) == 0:
            let slot = Int(random.below(UInt64(ranges.count)))
            // What is locked cannot be changed by anybody else.
            if ranges[slot].held.isEmpty { ranges[slot].writeForeign(at: now) }
        case 4 where leaseMoves > 0:
            leaseMoves -= 1
            let slot = Int(random.below(UInt64(ranges.count)))
            let kept = Int(random.below(UInt64(ranges[slot].pending.count + 1)))
            note("the lease of \(ranges[slot].id) moves, keeping \(kept) of \(ranges[slot].pending.count)")
            let waiting = ranges[slot].moveLease(keeping: kept, at: now)
            for call in waiting where random.below(2) == 0 { messages.append(.reply(call, .unknown)) }
        case 5 where random.below(2) == 0: kill(Int(random.below(2)))
        case 6:
            for position in coordinators.indices where coordinators[position].isAlive && random.below(2) == 0 {
                drive(position) { $0.wound() }
            }
        case 7, 8: recoverSomething()
        case 9, 10: if let call = randomCall() { askAgain(call) }
        case 11: if let call = randomCall() { giveUp(call) }
        default: beginAgainIfPossible()
        }
    }

    private mutating func randomCall() -> ModelCall.ID? {
        let open = calls.keys.sorted()
        return open.isEmpty ? nil : open[Int(random.below(UInt64(open.count)))]
    }

    // MARK: The client

    private mutating func newAttempt() -> Attempt {
        let id = TransactionID(request: request, attempt: UInt64(attempts.count + 1))
        var attempt = Attempt(id: id, writers: writers, readers: readers, anchor: writers[0], readAt: .zero)
        if client != .repeatsCalls, !attempts.isEmpty {
            attempt.readAt = now
            let drawn = ranges.map { ($0.id, random.below(3)) }
            attempt.writers = drawn.filter { $0.1 == 0 }.map(\.0)
            if attempt.writers.isEmpty { attempt.writers = [ranges[Int(random.below(UInt64(ranges.count)))].id] }
            attempt.readers = drawn.filter { $0.1 == 1 && !attempt.writers.contains($0.0) }.map(\.0)
            attempt.anchor = attempt.writers[Int(random.below(UInt64(attempt.writers.count)))]
        }
        attempts.append(attempt)
        return attempt
    }

    private mutating func begin(isRepeated: Bool) {
        let attempt = newAttempt()
        let gateway = Int(random.below(2))
        let candidate = now.advanced(byNanoseconds: Int64(random.below(60)))
        let machine = CommitCoordinator(
            id: attempt.id, anchor: attempt.anchor, writers: attempt.writers, readers: attempt.readers,
            candidate: candidate, mayBeRepeated: isRepeated)
        coordinators.append(
            Coordinator(
                machine: machine, attempt: attempt, gateway: gateway, isRepeated: isRepeated, candidate: candidate))
        drive(coordinators.count - 1) { $0.begin() }
    }

    /// The client asks again, with an attempt of its own; or first what has become of its last one.
    private mutating func beginAgainIfPossible() {
        guard told == nil, restarts > 0, !coordinators.contains(where: \.hasClient), settling.isEmpty else { return }
        let open = attempts.last { !ruledOut.contains($0.id) }
        if client == .runsAgain, let open { return settle(open) }
        restarts -= 1
        begin(isRepeated: client == .repeatsCalls && open != nil)
    }

    private mutating func settle(_ attempt: Attempt) {
        settling[attempt.id] = Settling(gateway: Int(random.below(2)))
        close(attempt.id)
    }

    private mutating func close(_ id: TransactionID) {
        guard let gateway = settling[id]?.gateway, let attempt = attempts.first(where: { $0.id == id }) else { return }
        open(.resolve(id, .close), attempt.writers[0], .settling(id), gateway: gateway)
    }

    private mutating func settled(_ id: TransactionID, _ timestamp: Timestamp?) {
        settling[id] = nil
        guard let timestamp else {
            ruledOut.insert(id)
            return
        }
        if told == nil { (told, toldOf) = (timestamp, id) }
    }

    private mutating func settling(_ id: TransactionID, hears reply: ModelCall.Reply, from call: ModelCall) {
        guard case .resolve(_, let resolution) = call.body, settling[id] != nil else { return }
        switch reply {
        case .inDoubt(let other, let anchor):
            settling[id]?.machine = Recovery(id: other, anchor: anchor, metIn: anchor)
            driveSettling(id) { $0.begin() }
        case .standing(let standing) where resolution == .close: settled(id, standing.timestamp)
        case .standing(let standing):
            driveSettling(id) { $0.received(standing, from: call.range, after: resolution) }
        default:
            // Nobody could tell.
            settling[id] = nil
        }
    }

    private mutating func driveSettling(_ id: TransactionID, _ body: (inout Recovery) -> [Recovery.Action]) {
        guard var machine = settling[id]?.machine, let gateway = settling[id]?.gateway else { return }
        let actions = body(&machine)
        note("settling \(id) at \(gateway): \(actions)")
        settling[id]?.machine = machine
        switch machine.decision {
        // What follows is left to who finds it.
        case .commit(let timestamp)? where machine.id == id: return settled(id, timestamp)
        case .some where machine.id == id: return settled(id, nil)
        case .some:
            settling[id]?.machine = nil
            return close(id)
        case nil where machine.isOver: settling[id] = nil
        case nil: break
        }
        for case .resolve(let range, let resolution) in actions {
            open(.resolve(machine.id, resolution), range, .settling(id), gateway: gateway)
        }
    }

    private mutating func finished(_ outcome: CommitCoordinator.Outcome, _ position: Int) {
        guard coordinators[position].hasClient else { return }
        coordinators[position].hasClient = false
        switch outcome {
        case .committed(let timestamp): (told, toldOf) = (timestamp, coordinators[position].attempt.id)
        case .committedBefore(let timestamp): told = timestamp
        case .failed(let error) where error.commitOutcome == .notCommitted: ruledOut.formUnion(attempts.map(\.id))
        case .failed: break
        }
    }

    private mutating func kill(_ gateway: Int) {
        note("gateway \(gateway) dies")
        for position in coordinators.indices where coordinators[position].gateway == gateway {
            coordinators[position].isAlive = false
            coordinators[position].hasClient = false
        }
        recoveries = recoveries.filter { $0.key.gateway != gateway }
        settling = settling.filter { $0.value.gateway != gateway }
        calls = calls.filter { $0.value.gateway != gateway }
    }

    // MARK: Gateways

    private mutating func drive(
        _ position: Int, _ body: (inout CommitCoordinator) -> [CommitCoordinator.Action]
    ) {
        guard coordinators[position].isAlive else { return }
        for action in body(&coordinators[position].machine) { perform(action, position) }
    }

    private mutating func perform(_ action: CommitCoordinator.Action, _ position: Int) {
        let coordinator = coordinators[position]
        let id = coordinator.machine.id
        note("coordinator \(position): \(action)")
        switch action {
        case .prepare(let range):
            let attempt = coordinator.attempt
            let preparation = CommitStep.Preparation(
                anchor: attempt.anchor, participants: range == attempt.anchor ? attempt.writers : [],
                candidate: coordinator.candidate, readsElsewhere: !attempt.readers.isEmpty,
                priority: TransactionPriority(begun: .zero, request: request))
            open(
                .prepare(id, preparation, readAt: attempt.readAt, mayBeRepeated: coordinator.isRepeated), range,
                .coordinator(position))
        case .confirm(let range, let timestamp):
            open(.confirm(upTo: timestamp, readAt: coordinator.attempt.readAt), range, .coordinator(position))
        case .resolve(let range, let resolution): open(.resolve(id, resolution), range, .coordinator(position))
        case .finish(let outcome): finished(outcome, position)
        case .recover(let other, let anchor, let range):
            let name = RecoveryName(gateway: coordinator.gateway, id: other)
            recover(name, Recovery(id: other, anchor: anchor, metIn: range))
            if other != id { recoveries[name]?.waiting.append((position, range)) }
        }
    }

    private mutating func recover(_ name: RecoveryName, _ machine: Recovery) {
        guard recoveries[name] == nil else { return }
        recoveries[name] = Recovering(machine: machine)
        driveRecovery(name) { $0.begin() }
    }

    private mutating func driveRecovery(_ name: RecoveryName, _ body: (inout Recovery) -> [Recovery.Action]) {
        guard var recovering = recoveries[name] else { return }
        let actions = body(&recovering.machine)
        note("recovery \(name.id) at \(name.gateway): \(actions)")
        recoveries[name] = actions.contains(.finish) ? nil : recovering
        for case .resolve(let range, let resolution) in actions {
            open(.resolve(name.id, resolution), range, .recovery(name.id), gateway: name.gateway)
        }
    }

    private mutating func recoverSomething() {
        let slot = Int(random.below(UInt64(ranges.count)))
        recoverAll(in: slot, gateway: Int(random.below(2)))
    }

    private mutating func recoverEverything() {
        for slot in ranges.indices { recoverAll(in: slot, gateway: 0) }
    }

    private mutating func recoverAll(in slot: Int, gateway: Int) {
        let range = ranges[slot].id
        for (id, found) in ranges[slot].held.sorted(by: { $0.key < $1.key }) where found.isCommitted {
            recover(.init(gateway: gateway, id: id), Recovery(id: id, anchor: found.preparation.anchor, metIn: range))
        }
        for (id, decided) in ranges[slot].table.decided.sorted(by: { $0.key < $1.key }) {
            recover(.init(gateway: gateway, id: id), Recovery(of: decided, anchor: range))
        }
    }

    private mutating func open(
        _ body: ModelCall.Body, _ range: RangeID, _ owner: ModelCall.Owner, gateway: Int? = nil
    ) {
        var own = gateway ?? 0
        if case .coordinator(let position) = owner { own = coordinators[position].gateway }
        calls[nextCall] = ModelCall(gateway: own, owner: owner, range: range, body: body)
        nextCall += 1
        askAgain(nextCall - 1)
    }

    /// Sends a call, for the first time or again. Only the first attempt can be bound to a leadership.
    private mutating func askAgain(_ id: ModelCall.ID) {
        guard var call = calls[id] else { return }
        if call.isOutstanding { call.mayHaveCommitted = true }
        let term = call.attempts == 0 && random.below(4) > 0 ? range(call.range).term : nil
        call.attempts += 1
        call.wasBoundToTerm = term != nil
        call.isOutstanding = true
        calls[id] = call
        messages.append(.request(id, call.body, call.range, boundTo: term))
    }

    /// The call's time is up.
    private mutating func giveUp(_ id: ModelCall.ID) {
        guard calls[id] != nil else { return }
        calls[id]?.wasBoundToTerm = false
        received(.failed(.late), to: id)
    }

    private mutating func received(_ reply: ModelCall.Reply, to id: ModelCall.ID) {
        guard let call = calls[id] else { return }
        switch reply {
        case .unknown, .notLeaseholder:
            if case .unknown = reply { calls[id]?.mayHaveCommitted = true }
            calls[id]?.isOutstanding = false
            // Sometimes the time is up before it is asked again.
            if faults, random.below(8) == 0 { giveUp(id) } else { askAgain(id) }
            return
        case .prepared, .committedBefore, .inDoubt, .confirmed, .standing, .failed: break
        }
        calls[id] = nil
        switch call.owner {
        case .coordinator(let position):
            guard let answer = Self.answer(reply, call) else { return }
            drive(position) { $0.received(answer, from: call.range) }
        case .settling(let transaction): settling(transaction, hears: reply, from: call)
        case .recovery(let transaction):
            let name = RecoveryName(gateway: call.gateway, id: transaction)
            let waiting = recoveries[name]?.waiting ?? []
            driveRecovery(name) { machine in
                guard case .standing(let standing) = reply, case .resolve(_, let resolution) = call.body else {
                    return machine.failed()
                }
                return machine.received(standing, from: call.range, after: resolution)
            }
            guard recoveries[name] == nil else { return }
            for (coordinator, range) in waiting {
                drive(coordinator) { machine in
                    guard case .failed(let error) = reply else { return machine.recovered(in: range) }
                    return machine.received(.failed(error, .prepare, wasRepeated: true), from: range)
                }
            }
        }
    }

    private static func answer(_ reply: ModelCall.Reply, _ call: ModelCall) -> CommitCoordinator.Answer? {
        switch reply {
        case .prepared(let timestamp, let candidate): return .prepared(at: timestamp, candidate: candidate)
        case .committedBefore(let timestamp): return .committedBefore(timestamp)
        case .inDoubt(let other, let anchor): return .inDoubt(other, anchor: anchor)
        case .confirmed: return .confirmed
        case .standing(let standing):
            guard case .resolve(_, let resolution) = call.body else { return nil }
            return .standing(standing, after: resolution)
        case .failed(let error):
            let question: CommitCoordinator.Question
            switch call.body {
            case .prepare: question = .prepare
            case .resolve: question = .resolve
            case .confirm: question = .confirm
            }
            let wasRepeated = call.attempts > 1 || !call.wasBoundToTerm || call.mayHaveCommitted
            return .failed(error, question, wasRepeated: wasRepeated)
        case .notLeaseholder, .unknown: return nil
        }
    }

    // MARK: Ranges

    private func range(_ id: RangeID) -> ModelRange { ranges[Int(id.rawValue) - 1] }

    private mutating func ask(
        _ call: ModelCall.ID, _ body: ModelCall.Body, _ range: RangeID, boundTo term: UInt64?, _ message: Message
    ) {
        let slot = Int(range.rawValue) - 1
        if let term, term != ranges[slot].term {
            messages.append(.reply(call, .notLeaseholder))
            return
        }
        if ranges[slot].refused.contains(call) {
            // Nobody answers it, until its time is up.
            if !faults { giveUp(call) }
            return
        }
        let reply: ModelCall.Reply?
        switch body {
        case .confirm(let timestamp, let readAt): reply = ranges[slot].confirm(upTo: timestamp, readAt: readAt)
        case .resolve(let id, let resolution): reply = ranges[slot].resolve(id, resolution, call: call, at: now)
        case .prepare(let id, let preparation, let readAt, let mayBeRepeated):
            let answer = ranges[slot].prepare(
                id, preparation, readAt: readAt, mayBeRepeated: mayBeRepeated, call: call)
            // It waits for its latches, and all copies of it together.
            if answer.isBlocked, !isUnderWay(call) { messages.append(message) }
            reply = answer.reply
        }
        guard let reply else { return }
        if case .failed = reply { ranges[slot].refused.insert(call) }
        messages.append(.reply(call, reply))
    }

    // MARK: The verdict

    /// What is wrong with how it ended; `nil` if nothing is.
    var breach: String? {
        var commits: [TransactionID: [RangeID: Timestamp]] = [:]
        var voided: Set<TransactionID> = []
        for range in ranges {
            for event in range.events {
                switch event {
                case .committed(let id, let timestamp):
                    if commits[id]?[range.id] != nil { return "\(id) committed twice in \(range.id)" }
                    commits[id, default: [:]][range.id] = timestamp
                case .voided(let id): voided.insert(id)
                }
            }
        }
        if commits.count > 1 { return "two attempts committed: \(commits.keys.sorted())" }
        for (id, found) in commits {
            if voided.contains(id) { return "\(id) committed in \(found.keys.sorted()) and was voided elsewhere" }
            guard let attempt = attempts.first(where: { $0.id == id }) else { return "\(id) was never begun" }
            if Set(found.keys) != Set(attempt.writers) { return "\(id) committed in \(found.keys.sorted()) alone" }
            if Set(found.values).count > 1 { return "\(id) committed at several times" }
            if ruledOut.contains(id) { return "\(id) committed, and the client was told that it did not" }
            guard let timestamp = found.values.first else { continue }
            if let told, told != timestamp { return "the client was told \(told), and it committed at \(timestamp)" }
            if let toldOf, toldOf != id { return "the client has the result of \(toldOf), and \(id) committed" }
            for reader in attempt.readers where range(reader).promised < timestamp {
                return "\(reader) was only read, and had not promised to stay as it is up to \(timestamp)"
            }
            for slot in ranges where attempt.writers.contains(slot.id) || attempt.readers.contains(slot.id) {
                let between = slot.foreignWrites.first { $0 > attempt.readAt && $0 <= timestamp }
                if let between {
                    return "\(slot.id) was written at \(between), between its reading and the commit at \(timestamp)"
                }
            }
        }
        if told != nil, commits.isEmpty { return "the client was told that it committed, and it did not" }
        return nil
    }
}
