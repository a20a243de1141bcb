/// A line to an event: the fields in any order, unknown ones stepped over, the value by the model's grammar.
struct EventParser {
    let model: HistoryModel

    /// - Returns: nil for an event of a process that is no number, such as Jepsen's `nemesis`: it is not an operation.
    /// - Throws: `HistoryError` naming the byte and what was expected there.
    func event(of bytes: UnsafeBufferPointer<UInt8>, line: Int) throws(HistoryError) -> HistoryEvent? {
        var parser = ByteParser(bytes, line: line)
        var fields = Fields()
        try parser.require("{", "'{'")
        if !parser.take(UInt8(ascii: "}")) {
            repeat { try field(&parser, into: &fields) } while parser.take(UInt8(ascii: ","))
            try parser.require("}", "',' or '}'")
        }
        try parser.requireEnd()
        if fields.isOther { return nil }
        guard let index = fields.index else { throw missing("index", line) }
        guard let process = fields.process else { throw missing("process", line) }
        guard let phase = fields.phase else { throw missing("type", line) }
        guard let time = fields.time else { throw missing("time", line) }
        var value: HistoryValue?
        if phase == .invoke || phase == .ok {
            guard let function = fields.function else { throw missing("f", line) }
            parser.seek(function.lowerBound - 1)
            let kind = try self.function(function, &parser)
            if let start = fields.value {
                parser.seek(start)
                value = try self.value(kind, &parser)
            } else {
                value = try absent(kind, line)
            }
        }
        return HistoryEvent(
            index: index, process: process, phase: phase, value: value, time: time, region: fields.region)
    }

    private struct Fields {
        var index: Int?
        var process: Int?
        var phase: HistoryEvent.Phase?
        var time: Int?
        var region: String?
        /// Where its bytes stand: what they mean depends on the model.
        var function: Range<Int>?
        var value: Int?
        var isOther = false
    }

    private func missing(_ field: String, _ line: Int) -> HistoryError {
        HistoryError(line: line, column: 1, reason: "expected a field \"\(field)\"")
    }

    private func field(_ parser: inout ByteParser, into fields: inout Fields) throws(HistoryError) {
        parser.skipSpace()
        let start = parser.position
        let name = try parser.rawString("a field's name")
        try parser.require(":", "':'")
        var isRepeated = false
        if parser.isEqual(name, "index") {
            isRepeated = fields.index != nil
            fields.index = try parser.integer("an integer")
        } else if parser.isEqual(name, "process") {
            isRepeated = fields.process != nil || fields.isOther
            if parser.peek() == UInt8(ascii: "\"") {
                _ = try parser.rawString("a name")
                fields.isOther = true
            } else {
                fields.process = try parser.integer("an integer or a name")
            }
        } else if parser.isEqual(name, "type") {
            isRepeated = fields.phase != nil
            fields.phase = try phase(&parser)
        } else if parser.isEqual(name, "f") {
            isRepeated = fields.function != nil
            fields.function = try parser.rawString("a string")
        } else if parser.isEqual(name, "value") {
            isRepeated = fields.value != nil
            parser.skipSpace()
            fields.value = parser.position
            try parser.skipValue()
        } else if parser.isEqual(name, "time") {
            isRepeated = fields.time != nil
            fields.time = try parser.integer("an integer (nanoseconds)")
        } else if parser.isEqual(name, "region") {
            isRepeated = fields.region != nil
            fields.region = parser.takeNull() ? nil : try parser.string("a string or null")
        } else {
            try parser.skipValue()
        }
        if isRepeated {
            parser.seek(start)
            throw parser.expected("each field once")
        }
    }

    private func phase(_ parser: inout ByteParser) throws(HistoryError) -> HistoryEvent.Phase {
        parser.skipSpace()
        let start = parser.position
        let expectation = "\"invoke\", \"ok\", \"fail\" or \"info\""
        let word = try parser.rawString(expectation)
        if parser.isEqual(word, "invoke") { return .invoke }
        if parser.isEqual(word, "ok") { return .ok }
        if parser.isEqual(word, "fail") { return .fail }
        if parser.isEqual(word, "info") { return .info }
        parser.seek(start)
        throw parser.expected(expectation)
    }
}

// MARK: - Values

extension EventParser {
    private enum Kind {
        case lists, registers, read, write, compareAndSet, transfer, balances, add, elements
        /// `read` and `write` of one register, or a list of steps.
        case observation(isRead: Bool)
    }

    private func function(_ name: Range<Int>, _ parser: inout ByteParser) throws(HistoryError) -> Kind {
        func isNamed(_ word: StaticString) -> Bool { parser.isEqual(name, word) }
        switch model {
        case .append:
            if isNamed("txn") { return .lists }
            throw parser.expected("\"txn\", as the model append has")
        case .registers:
            if isNamed("txn") { return .registers }
            throw parser.expected("\"txn\", as the model registers has")
        case .longFork:
            if isNamed("txn") || isNamed("read") || isNamed("write") { return .registers }
            throw parser.expected("\"txn\", \"read\" or \"write\", as the model long-fork has")
        case .register:
            if isNamed("read") { return .read }
            if isNamed("write") { return .write }
            if isNamed("cas") { return .compareAndSet }
            throw parser.expected("\"read\", \"write\" or \"cas\", as the model register has")
        case .bank:
            if isNamed("transfer") { return .transfer }
            if isNamed("read") { return .balances }
            throw parser.expected("\"transfer\" or \"read\", as the model bank has")
        case .set, .causal:
            if isNamed("add") { return .add }
            if isNamed("read") { return .elements }
            throw parser.expected("\"add\" or \"read\", as the model \(model.rawValue) has")
        case .monotonic:
            if isNamed("read") { return .observation(isRead: true) }
            if isNamed("write") { return .observation(isRead: false) }
            if isNamed("txn") { return .registers }
            throw parser.expected("\"read\", \"write\" or \"txn\", as the model monotonic has")
        }
    }

    /// Reads of everything need not say what they read.
    private func absent(_ kind: Kind, _ line: Int) throws(HistoryError) -> HistoryValue {
        switch kind {
        case .balances: return .balances(nil)
        case .elements: return .elements(nil)
        default: throw missing("value", line)
        }
    }

    private func value(_ kind: Kind, _ parser: inout ByteParser) throws(HistoryError) -> HistoryValue {
        switch kind {
        case .lists: return .transaction(try list(&parser, of: "steps", Self.listStep))
        case .registers: return .transaction(try list(&parser, of: "steps", Self.registerStep))
        case .read:
            let (key, value) = try pair(&parser, Self.optionalInteger)
            return .read(key, value)
        case .write:
            let (key, value) = try pair(&parser) { parser throws(HistoryError) in try parser.integer("an integer") }
            return .write(key, value)
        case .observation(let isRead):
            if isRead {
                let (key, value) = try pair(&parser, Self.optionalInteger)
                return .read(key, value)
            }
            let (key, value) = try pair(&parser) { parser throws(HistoryError) in try parser.integer("an integer") }
            return .write(key, value)
        case .compareAndSet:
            let (key, change) = try pair(&parser) { parser throws(HistoryError) in
                try parser.require("[", "'[' before the expected and the new value")
                let from = try Self.optionalInteger(&parser)
                try parser.require(",", "',' and the new value")
                let to = try parser.integer("an integer")
                try parser.require("]", "']' after the new value")
                return (from, to)
            }
            return .compareAndSet(key, from: change.0, to: change.1)
        case .transfer: return try transfer(&parser)
        case .balances: return .balances(try balances(&parser))
        case .add:
            guard parser.take(UInt8(ascii: "[")) else { return .add(try parser.integer("an integer or [integer]")) }
            let element = try parser.integer("an integer")
            try parser.require("]", "']' after one element")
            return .add(element)
        case .elements:
            if parser.takeNull() { return .elements(nil) }
            return .elements(
                try list(&parser, of: "elements") { parser throws(HistoryError) in try parser.integer("an integer") })
        }
    }

    private static func optionalInteger(_ parser: inout ByteParser) throws(HistoryError) -> Int? {
        parser.takeNull() ? nil : try parser.integer("an integer or null")
    }

    private static func key(_ parser: inout ByteParser) throws(HistoryError) -> HistoryKey {
        if parser.peek() == UInt8(ascii: "\"") { return .string(try parser.string("a key")) }
        return .int(try parser.integer("a key (integer or string)"))
    }

    private func list<Element>(
        _ parser: inout ByteParser, of what: String,
        _ element: (inout ByteParser) throws(HistoryError) -> Element
    ) throws(HistoryError) -> [Element] {
        try parser.require("[", "'[' before \(what)")
        var result: [Element] = []
        if parser.take(UInt8(ascii: "]")) { return result }
        repeat { result.append(try element(&parser)) } while parser.take(UInt8(ascii: ","))
        try parser.require("]", "',' or ']'")
        return result
    }

    private func pair<Second>(
        _ parser: inout ByteParser, _ second: (inout ByteParser) throws(HistoryError) -> Second
    ) throws(HistoryError) -> (HistoryKey, Second) {
        try parser.require("[", "'[' before a key")
        let key = try Self.key(&parser)
        try parser.require(",", "',' after the key")
        let value = try second(&parser)
        try parser.require("]", "']'")
        return (key, value)
    }

    private static func listStep(_ parser: inout ByteParser) throws(HistoryError) -> TransactionStep {
        try parser.require("[", "'[' before a step")
        parser.skipSpace()
        let start = parser.position
        let expectation = "\"append\" or \"r\""
        let action = try parser.rawString(expectation)
        let isAppend = parser.isEqual(action, "append")
        guard isAppend || parser.isEqual(action, "r") else {
            parser.seek(start)
            throw parser.expected(expectation)
        }
        try parser.require(",", "',' and a key")
        let key = try Self.key(&parser)
        try parser.require(",", "',' after the key")
        if isAppend {
            let value = try parser.integer("an integer")
            try parser.require("]", "']' after the step")
            return .append(key, value)
        }
        if parser.takeNull() {
            try parser.require("]", "']' after the step")
            return .readList(key, nil)
        }
        try parser.require("[", "null or '['")
        var found: [Int] = []
        if !parser.take(UInt8(ascii: "]")) {
            repeat { found.append(try parser.integer("an integer")) } while parser.take(UInt8(ascii: ","))
            try parser.require("]", "',' or ']'")
        }
        try parser.require("]", "']' after the step")
        return .readList(key, found)
    }

    private static func registerStep(_ parser: inout ByteParser) throws(HistoryError) -> TransactionStep {
        try parser.require("[", "'[' before a step")
        parser.skipSpace()
        let start = parser.position
        let expectation = "\"w\" or \"r\""
        let action = try parser.rawString(expectation)
        let isWrite = parser.isEqual(action, "w")
        guard isWrite || parser.isEqual(action, "r") else {
            parser.seek(start)
            throw parser.expected(expectation)
        }
        try parser.require(",", "',' and a key")
        let key = try Self.key(&parser)
        try parser.require(",", "',' after the key")
        let value = isWrite ? try parser.integer("an integer") : try optionalInteger(&parser)
        try parser.require("]", "']' after the step")
        if isWrite, let value { return .write(key, value) }
        return .read(key, value)
    }

    /// `[from, to, amount]`, or an object with these names.
    private func transfer(_ parser: inout ByteParser) throws(HistoryError) -> HistoryValue {
        if parser.take(UInt8(ascii: "[")) {
            let from = try Self.key(&parser)
            try parser.require(",", "',' and the account that is paid")
            let to = try Self.key(&parser)
            try parser.require(",", "',' and the amount")
            let amount = try parser.integer("an integer")
            try parser.require("]", "']'")
            return .transfer(from: from, to: to, amount: amount)
        }
        var from: HistoryKey?
        var to: HistoryKey?
        var amount: Int?
        try parser.require("{", "[from, to, amount] or an object")
        repeat {
            let name = try parser.rawString("\"from\", \"to\" or \"amount\"")
            try parser.require(":", "':'")
            if parser.isEqual(name, "from") {
                from = try Self.key(&parser)
            } else if parser.isEqual(name, "to") {
                to = try Self.key(&parser)
            } else if parser.isEqual(name, "amount") {
                amount = try parser.integer("an integer")
            } else {
                try parser.skipValue()
            }
        } while parser.take(UInt8(ascii: ","))
        try parser.require("}", "',' or '}'")
        guard let from, let to, let amount else { throw parser.expected("\"from\", \"to\" and \"amount\" before") }
        return .transfer(from: from, to: to, amount: amount)
    }

    /// `{"account": balance}`, `[[account, balance]]` or null. An object's names are strings by JSON's rules, so a name
    /// that is an integer stands for that integer.
    private func balances(_ parser: inout ByteParser) throws(HistoryError) -> [AccountBalance]? {
        if parser.takeNull() { return nil }
        if parser.peek() == UInt8(ascii: "[") {
            return try list(&parser, of: "balances") { parser throws(HistoryError) in
                try parser.require("[", "'[' before an account")
                let account = try Self.key(&parser)
                try parser.require(",", "',' and a balance")
                let balance = try parser.integer("an integer")
                try parser.require("]", "']'")
                return AccountBalance(account: account, balance: balance)
            }
        }
        try parser.require("{", "null, '{' or '['")
        var result: [AccountBalance] = []
        if parser.take(UInt8(ascii: "}")) { return result }
        repeat {
            let name = try parser.string("an account")
            try parser.require(":", "':'")
            // "01" and "+1" are names, not the number 1.
            let number = Int(name).flatMap { String($0) == name ? $0 : nil }
            let account = number.map(HistoryKey.int) ?? .string(name)
            result.append(AccountBalance(account: account, balance: try parser.integer("an integer")))
        } while parser.take(UInt8(ascii: ","))
        try parser.require("}", "',' or '}'")
        return result
    }
}
