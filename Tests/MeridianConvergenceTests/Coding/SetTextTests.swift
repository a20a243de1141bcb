import MeridianCore
import Testing

@testable import MeridianConvergence

/// What the text of a set column is taken to hold.
struct SetTextTests {
    private func elements(_ text: String) -> [String]? {
        SetText.elements(of: text)?.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        arguments: [
            ("[]", []),
            ("[1]", ["1"]),
            ("[ ]", []),
            ("[ 1,\t1 ,\n\" 1 \"]", ["\" 1 \"", "1"]),
            ("[2,1,2]", ["1", "2"]),
            ("[10,9]", ["10", "9"]),
            ("[\"\"]", ["\"\""]),
            ("[null,true,-1.5e3]", ["-1.5e3", "null", "true"]),
            // Commas and brackets inside texts, arrays and objects part nothing.
            ("[\"a,b\",\"]\",\"[\",\"}{\"]", ["\"[\"", "\"]\"", "\"a,b\"", "\"}{\""]),
            ("[[1,2],[],[[3,4],{\"k\":[5,6]}]]", ["[1,2]", "[[3,4],{\"k\":[5,6]}]", "[]"]),
            ("[{\"a\":1,\"b\":{\"c\":\"},\"}},{}]", ["{\"a\":1,\"b\":{\"c\":\"},\"}}", "{}"]),
            // Escaped quotes end no text, escaped backslashes escape nothing more.
            (#"["\"",",\\","\\\","]"#, [#"",\\""#, #""\"""#, #""\\\",""#]),
            (#"["a\u0022b"]"#, [#""a\u0022b""#]),
            ("[\"é\",\"e\u{301}\",\"🇩🇪\",\"\u{0}\"]", ["\"\u{0}\"", "\"e\u{301}\"", "\"é\"", "\"🇩🇪\""]),
        ] as [(String, [String])])
    func elementsAreSortedAndEachOnce(_ text: String, _ expected: [String]) throws {
        let found = try #require(elements(text))
        #expect(found.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
        // There and back, as often as you like.
        let back = SetText.text(of: try #require(SetText.elements(of: text)))
        #expect(elements(back) == found)
        #expect(SetText.text(of: try #require(SetText.elements(of: back))) == back)
    }

    @Test(arguments: [
        "", "[", "]", "1", "{}", "null", "\"[]\"", " []", "[] ", "[1", "1]", "[[]", "[]]", "[1]2]", "[1][2]", "[\"]",
        "[\"a]",
        #"["\"]"#, #"["\]"#, #"["a\\\"]"#, "[{]", "[}]", "[[1}]", "[{1]]", "[,]", "[1,]", "[,1]", "[1,,2]", "[1, ]",
        "[ ,]",
    ])
    func whatIsNoArrayHasNoElements(_ text: String) { #expect(elements(text) == nil) }

    /// Composed and decomposed letters are two elements: bytes count, as everywhere in a row.
    @Test func bytesDecide() {
        #expect(elements("[\"é\",\"e\u{301}\"]")?.count == 2)
        #expect(elements("[1,1.0]")?.count == 2)
    }

    @Test func noTextTraps() {
        var random = SplitMix64(seed: 1)
        let alphabet = Array("[]{}\",\\a1 é")
        for _ in 0..<20_000 {
            let text = "[" + String((0..<random.below(9)).map { _ in random.pick(alphabet) })
            for candidate in [text, text + "]"] {
                guard let found = SetText.elements(of: candidate) else { continue }
                let back = SetText.text(of: found)
                #expect(SetText.elements(of: back) == found, "\(candidate)")
            }
        }
    }
}
