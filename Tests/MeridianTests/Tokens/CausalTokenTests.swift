import Foundation
import MeridianCore
import Testing

@testable import Meridian

@Suite struct CausalTokenTests {
    private let seal = TokenSeal(key: [UInt8](repeating: 7, count: TokenSeal.keyByteCount))
    private let time = Timestamp(rawValue: 1_767_225_600_123_456_789)

    @Test func aTokenSurvivesItsText() throws {
        let token = seal.token(at: time)
        let text = token.description
        #expect(text.utf8.count == 44)
        #expect(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        let again = try #require(CausalToken(text))
        #expect(again == token)
        #expect(try seal.timestamp(of: again) == time)
    }

    @Test func aTokenIsCodedAsItsText() throws {
        let token = seal.token(at: time)
        let data = try JSONEncoder().encode([token])
        #expect(String(decoding: data, as: UTF8.self) == "[\"\(token)\"]")
        #expect(try JSONDecoder().decode([CausalToken].self, from: data) == [token])
    }

    @Test(arguments: ["", "abc", "====", String(repeating: "A", count: 44), String(repeating: "ä", count: 22)])
    func otherTextIsNoToken(_ text: String) {
        #expect(CausalToken(text) == nil)
    }

    @Test func noBitOfATokenCanBeChanged() throws {
        let token = seal.token(at: time)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for position in 0..<44 {
            var letters = Array(token.description)
            let value = try #require(alphabet.firstIndex(of: letters[position]))
            letters[position] = alphabet[(value + 1) % 64]
            guard let altered = CausalToken(String(letters)) else { continue }
            let error = #expect(throws: MeridianError.self) { try seal.timestamp(of: altered) }
            #expect(error?.code == .invalidToken || error?.code == .foreignToken)
        }
    }

    @Test func aTokenOfAnotherClusterIsRefused() throws {
        let other = TokenSeal(key: TokenSeal.drawKey())
        let error = #expect(throws: MeridianError.self) { try seal.timestamp(of: other.token(at: time)) }
        #expect(error?.code == .foreignToken)
        #expect(throws: MeridianError.self) { try seal.token(at: time).merged(with: other.token(at: time)) }
    }

    @Test func theLaterOfTwoTokensCoversBoth() throws {
        let early = seal.token(at: time)
        let late = seal.token(at: time.next)
        #expect(try early.merged(with: late) == late)
        #expect(try late.merged(with: early) == late)
    }
}
