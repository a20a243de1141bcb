import MeridianCore

@testable import MeridianTransactions

/// A client, two gateways and a few ranges, with one request that is committed over all of them, in a world where any
/// message takes any time, comes twice or never, leases move, gateways die and anybody may begin a recovery.
///
/// With losses, ranges also fail over: a new generation goes on from a part of the log, while the old one may go on
/// too, unaware of it. And they are given up. Gateways hear of both late, each for itself, in the order of the
/// system range.
///
/// The gateways' part is `NodeCore+Transactions`' and `Gateway`'s: a call is asked again until it is answered or given
/// up, and says whether it was asked more than once. One seed is one run.
struct CommitModel {
    struct Coordinator {
        var machine: CommitCoordinator
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
    let writers: [RangeID]
    let readers: [RangeID]
    /// Attempts of which the client was told that they did not happen, and will not.
    private(set) var ruledOut: Set<TransactionID> = []
    private(set) var told: Timestamp?
    private var attempts: [TransactionID] = []
    private var restarts = 3
    private var leaseMoves = 3
    /// Draws what is lost, so that a world without losses is the same as ever.
    private var fate: SplitMix64
    private var lossesLeft: Int
    /// The client is told of a commit when the anchor's log has it.
    let isExplicit: Bool
    /// In which history each range is, `nil` if given up: all that the system range has ever said.
    private var catalog: [[Presence?]]
    /// How much of it each gateway has heard.
    private var heard = [0, 0]
    /// Histories that have ended, and whose leaseholders may not know.
    private var earlier: [ModelRange] = []
    /// Ranges that have failed over and lost something.
    private(set) var shortened: Set<RangeID> = []
    private var losses = 0
    /// What happens, if somebody wants to read it.
    var trace: Trace?

    final class Trace { var lines: [String] = [] }

    init(seed: UInt64, losses: Bool = false) {
        fate = SplitMix64(seed: seed ^ 0x5EED)
        lossesLeft = losses ? 1 + Int(fate.below(2)) : 0
        isExplicit = losses ? fate.below(2) == 0 : false
        random = SplitMix64(seed: seed)
        let writerCount = (losses ? 2 : 1) + random.below(losses ? 2 : 3)
        let readerCount = random.below(3)
        writers = (1...writerCount).map { RangeID($0) }
        readers = (0..<readerCount).map { RangeID(writerCount + 1 + $0) }
        ranges = (writers + readers).map { ModelRange($0) }
        catalog = [Array(repeating: Presence(.first), count: ranges.count)]
    }

    var now: Timestamp { Timestamp(nanoseconds: clock) }

    // MARK: Running

    /// A hostile time, and then a quiet one in which everything comes to its end.
    /// - Returns: whether it did.
    mutating func run() -> Bool {
        let length = 20 + Int(random.below(200))
        begin(newAttempt(), isRepeated: false)
        for _ in 0..<length { step() }
        faults = false
        earlier = []
        heard = heard.map { _ in catalog.count - 1 }
        for slot in ranges.indices { ranges[slot].isOverloaded = false }
        for round in 0..<3_000 {
            if isQuiet { return true }
            step()
            if round % 20 == 0 { recoverEverything() }
        }
        return false
    }

    var isQuiet: Bool {
        messages.isEmpty && calls.isEmpty && ranges.allSatisfy { isGivenUp($0.id) || $0.isIdle }
            && coordinators.allSatisfy { !$0.isAlive || $0.machine.isOver }
    }

    private mutating func step() {
        clock += Int64(1 + random.below(20))
        if faults, lossesLeft > 0, fate.below(15) == 0 { return lose() }
        if faults, catalog.count > 1, fate.below(6) == 0 {
            let gateway = Int(fate.below(2))
            heard[gateway] = min(heard[gateway] + 1, catalog.count - 1)
            return
        }
        if faults, let end = earlier.indices.last, fate.below(4) == 0, !earlier[end].pending.isEmpty {
            for (call, reply) in earlier[end].commitFirst(at: now) { messages.append(.reply(call, reply)) }
            return
        }
        if faults, random.below(5) == 0 { return disturb() }
        // Whatever was lost is asked again in the end.
        if !faults, random.below(8) == 0, let call = randomCall(), !isUnderWay(call) { return askAgain(call) }
        let busy = ranges.indices.filter { !ranges[$0].pending.isEmpty && !isGivenUp(ranges[$0].id) }
        if !busy.isEmpty, messages.isEmpty || random.below(3) == 0 {
            let slot = busy[Int(random.below(UInt64(busy.count)))]
            note("\(ranges[slot].id) commits \(ranges[slot].pending[0])")
            for (call, reply) in ranges[slot].commitFirst(at: now) { messages.append(.reply(call, reply)) }
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

    /// A range fails over, losing the end of its log, or is given up.
    private mutating func lose() {
        let slot = Int(fate.below(UInt64(writers.count)))
        let range = ranges[slot]
        guard catalog[catalog.count - 1][slot] != nil else { return }
        lossesLeft -= 1
        var next = catalog[catalog.count - 1]
        switch fate.below(4) {
        case 0 where next.count(where: { $0 != nil }) > readers.count + 1:
            note("\(range.id) is given up")
            losses += 1
            earlier.append(range)
            next[slot] = nil
        case 1:
            note("\(range.id) fails over, losing nothing")
            ranges[slot] = range.failedOver(keeping: range.log.count, at: now)
            next[slot] = Presence(ranges[slot].generation, hasLost: next[slot]?.hasLost == true)
        default:
            let kept = Int(fate.below(UInt64(range.log.count + 1)))
            note("\(range.id) fails over, keeping \(kept) of \(range.log.count)")
            earlier.append(range)
            ranges[slot] = range.failedOver(keeping: kept, at: now)
            shortened.insert(range.id)
            losses += 1
            next[slot] = Presence(ranges[slot].generation, hasLost: true)
        }
        catalog.append(next)
    }

    private func isGivenUp(_ range: RangeID) -> Bool { catalog[catalog.count - 1][Int(range.rawValue) - 1] == nil }

    /// In which generation a gateway believes a range to be; the last that it heard of, if it was given up.
    private func generation(of range: RangeID, at gateway: Int) -> Generation {
        let slot = Int(range.rawValue) - 1
        return catalog[...heard[gateway]].reversed().lazy.compactMap { $0[slot]?.generation }.first ?? .first
    }

    private mutating func randomCall() -> ModelCall.ID? {
        let open = calls.keys.sorted()
        return open.isEmpty ? nil : open[Int(random.below(UInt64(open.count)))]
    }

    // MARK: The client

    private mutating func newAttempt() -> TransactionID {
        let id = TransactionID(request: request, attempt: UInt64(attempts.count + 1))
        attempts.append(id)
        return id
    }

    private mutating func begin(_ id: TransactionID, isRepeated: Bool) {
        let gateway = Int(random.below(2))
        let candidate = now.advanced(byNanoseconds: Int64(random.below(60)))
        let machine = CommitCoordinator(
            id: id, participants: writers.map { Participant($0, in: generation(of: $0, at: gateway)) },
            readers: readers, candidate: candidate, mayBeRepeated: isRepeated, acknowledgesDecided: isExplicit)
        coordinators.append(
            Coordinator(machine: machine, gateway: gateway, isRepeated: isRepeated, candidate: candidate))
        drive(coordinators.count - 1) { $0.begin() }
    }

    /// The client asks again, with an attempt of its own.
    private mutating func beginAgainIfPossible() {
        guard told == nil, restarts > 0, !coordinators.contains(where: \.hasClient) else { return }
        restarts -= 1
        let isRuledOut = attempts.allSatisfy { ruledOut.contains($0) }
        begin(newAttempt(), isRepeated: !isRuledOut)
    }

    private mutating func finished(_ outcome: CommitCoordinator.Outcome, _ position: Int) {
        guard coordinators[position].hasClient else { return }
        coordinators[position].hasClient = false
        switch outcome {
        case .committed(let timestamp): told = timestamp
        case .failed(let error) where error.commitOutcome == .notCommitted: ruledOut.formUnion(attempts)
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
            let preparation = CommitStep.Preparation(
                participants: coordinator.machine.participants, candidate: coordinator.candidate,
                readsElsewhere: !readers.isEmpty, acknowledgesDecided: isExplicit,
                priority: TransactionPriority(begun: .zero, request: request))
            open(.prepare(id, preparation, mayBeRepeated: coordinator.isRepeated), range, .coordinator(position))
        case .confirm(let range, let timestamp): open(.confirm(upTo: timestamp), range, .coordinator(position))
        case .resolve(let range, let resolution):
            let participants = coordinator.machine.participants
            let request = ModelResolve(
                id: id, resolution: resolution, participants: participants, ballot: Ballot(of: participants),
                generation: participants.first { $0.range == range }?.generation ?? .first)
            open(.resolve(request), range, .coordinator(position))
        case .finish(let outcome): finished(outcome, position)
        case .recover(let other, let participants, let range):
            let name = RecoveryName(gateway: coordinator.gateway, id: other)
            let generation = coordinator.machine.participants.first { $0.range == range }?.generation
            recover(name, participants, metIn: Participant(range, in: generation ?? .first))
            guard other != id else { return }
            if recoveries[name] != nil {
                recoveries[name]?.waiting.append((position, range))
            } else {
                drive(position) { $0.received(.failed(.late, .prepare, wasRepeated: true), from: range) }
            }
        }
    }

    private mutating func recover(
        _ name: RecoveryName, _ participants: [Participant], metIn origin: Participant, committed: Timestamp? = nil
    ) {
        let known = catalog[heard[name.gateway]]
        let machine = Recovery(
            id: name.id, participants: participants,
            present: participants.map { participant in
                let presence = known[Int(participant.range.rawValue) - 1]
                return presence.map {
                    Presence($0.generation, hasLost: $0.hasLost && $0.generation > participant.generation)
                }
            }, metIn: origin, committed: committed)
        guard let machine, recoveries[name] == nil else { return }
        recoveries[name] = Recovering(machine: machine)
        driveRecovery(name) { $0.begin() }
    }

    private mutating func driveRecovery(_ name: RecoveryName, _ body: (inout Recovery) -> [Recovery.Action]) {
        guard var recovering = recoveries[name] else { return }
        let actions = body(&recovering.machine)
        note("recovery \(name.id) at \(name.gateway): \(actions)")
        recoveries[name] = actions.contains(.finish) ? nil : recovering
        for case .resolve(let range, let resolution) in actions {
            let machine = recovering.machine
            let request = ModelResolve(
                id: name.id, resolution: resolution, participants: machine.participants, ballot: machine.ballot,
                generation: machine.generation(of: range))
            open(.resolve(request), range, .recovery(name.id), gateway: name.gateway)
        }
    }

    private mutating func recoverSomething() {
        let all = ranges.filter { !isGivenUp($0.id) } + earlier
        recoverAll(in: all[Int(random.below(UInt64(all.count)))], gateway: Int(random.below(2)))
    }

    private mutating func recoverEverything() {
        for range in ranges where !isGivenUp(range.id) { recoverAll(in: range, gateway: 0) }
    }

    private mutating func recoverAll(in range: ModelRange, gateway: Int) {
        let origin = Participant(range.id, in: range.generation)
        for (id, found) in range.held.sorted(by: { $0.key < $1.key }) where found.isCommitted {
            recover(.init(gateway: gateway, id: id), found.preparation.participants, metIn: origin)
        }
        for (id, decided) in range.table.decided.sorted(by: { $0.key < $1.key }) {
            recover(
                .init(gateway: gateway, id: id), decided.participants, metIn: origin, committed: decided.timestamp)
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
        case .recovery(let transaction):
            let name = RecoveryName(gateway: call.gateway, id: transaction)
            let waiting = recoveries[name]?.waiting ?? []
            driveRecovery(name) { machine in
                guard case .standing(let standing) = reply, case .resolve(let request) = call.body else {
                    return machine.failed()
                }
                return machine.received(standing, from: call.range, after: request.resolution)
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
        case .inDoubt(let other, let participants): return .inDoubt(other, participants)
        case .confirmed: return .confirmed
        case .standing(let standing):
            guard case .resolve(let request) = call.body else { return nil }
            return .standing(standing, after: request.resolution)
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
        // A history that has ended answers as if it had not, as long as nobody has told it.
        let isEarlier = { (candidate: ModelRange) in candidate.id == range && candidate.generation == body.generation }
        if let position = earlier.firstIndex(where: isEarlier), isGivenUp(range) || fate.below(2) == 0 {
            let reply = Self.ask(&earlier[position], call, body, at: now)
            if let reply = reply.reply { messages.append(.reply(call, reply)) }
            return
        }
        if isGivenUp(range) {
            if !faults { giveUp(call) }
            return
        }
        if let term, term != ranges[slot].term {
            messages.append(.reply(call, .notLeaseholder))
            return
        }
        if ranges[slot].refused.contains(call) {
            // Nobody answers it, until its time is up.
            if !faults { giveUp(call) }
            return
        }
        let answer = Self.ask(&ranges[slot], call, body, at: now)
        // It waits for its latches, and all copies of it together.
        if answer.isBlocked, !isUnderWay(call) { messages.append(message) }
        guard let reply = answer.reply else { return }
        if case .failed = reply { ranges[slot].refused.insert(call) }
        messages.append(.reply(call, reply))
    }

    private static func ask(
        _ range: inout ModelRange, _ call: ModelCall.ID, _ body: ModelCall.Body, at now: Timestamp
    ) -> (reply: ModelCall.Reply?, isBlocked: Bool) {
        switch body {
        case .confirm(let timestamp): (range.confirm(upTo: timestamp), false)
        case .resolve(let request): (range.resolve(request, call: call, at: now), false)
        case .prepare(let id, let preparation, let mayBeRepeated):
            range.prepare(id, preparation, mayBeRepeated: mayBeRepeated, call: call)
        }
    }

    // MARK: The verdict

    /// What is wrong with how it ended; `nil` if nothing is. Only what is in the histories that go on counts.
    var breach: String? {
        var commits: [TransactionID: [RangeID: Timestamp]] = [:]
        var voided: Set<TransactionID> = []
        let surviving = ranges.filter { !isGivenUp($0.id) }
        for range in surviving {
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
            let missing = writers.filter { found[$0] == nil && !isGivenUp($0) && !shortened.contains($0) }
            if !missing.isEmpty { return "\(id) committed in \(found.keys.sorted()) alone" }
            if Set(found.values).count > 1 { return "\(id) committed at several times" }
            if ruledOut.contains(id) { return "\(id) committed, and the client was told that it did not" }
            guard let timestamp = found.values.first else { continue }
            if let told, told != timestamp { return "the client was told \(told), and it committed at \(timestamp)" }
            for reader in readers where range(reader).promised < timestamp {
                return "\(reader) was only read, and had not promised to stay as it is up to \(timestamp)"
            }
            for slot in surviving where !shortened.contains(slot.id) {
                if let write = slot.firstForeignWrite, write <= timestamp {
                    return "\(slot.id) was written at \(write), between its reading and the commit at \(timestamp)"
                }
            }
        }
        guard told != nil, commits.isEmpty else { return nil }
        return lostAcknowledgement(surviving)
    }

    /// The client was told of a commit that nobody has.
    private func lostAcknowledgement(_ surviving: [ModelRange]) -> String? {
        let anchorIsWhole = !isGivenUp(writers[0]) && !shortened.contains(writers[0])
        if isExplicit, anchorIsWhole { return "the anchor's log had the decision, lost nothing, and lacks it" }
        let whole = surviving.filter { writers.contains($0.id) && !shortened.contains($0.id) }
        if whole.count == writers.count { return "the client was told that it committed, and it did not" }
        // Who has lost a part of its log can have lost the record too.
        guard !whole.isEmpty, losses == 1 else { return nil }
        let records = surviving.flatMap(\.table.undone.values)
        return records.contains { $0.cause.mayBeAcknowledged } ? nil : "an acknowledged commit was undone unreported"
    }
}
