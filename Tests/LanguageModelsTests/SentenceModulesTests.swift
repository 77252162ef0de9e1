import Foundation
import LanguageModels
import TestSupport
import Testing

/// `modules.json` and its neighbours, and the poolings.
@Suite struct SentenceModulesTests {
  private static func folder(_ types: [String], pooling: String = "{}") throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let list = types.enumerated().map { number, type in
      #"{"idx": \#(number), "path": "\#(number == 0 ? "" : "\(number)_X")", "type": "sentence_transformers.models.\#(type)"}"#
    }
    try folder.write("[\(list.joined(separator: ","))]", to: "modules.json")
    try FileManager.default.createDirectory(at: folder.file("1_X"), withIntermediateDirectories: true)
    try folder.write(pooling, to: "1_X/config.json")
    return folder
  }

  @Test func poolingsOfEitherRelease() throws {
    let cases: [(String, [Pooling])] = [
      ("{}", [.mean]), (#"{"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": false}"#, [.maximum]),
      (#"{"pooling_mode": "cls", "embedding_dimension": 3}"#, [.first]),
      (#"{"pooling_mode": ["max", "cls"]}"#, [.maximum, .first]),
      (#"{"pooling_mode_lasttoken": true, "pooling_mode_cls_token": true}"#, [.first, .last]),
    ]
    for (text, expected) in cases {
      let folder = try Self.folder(["Transformer", "Pooling"], pooling: text)
      let modules = try #require(try SentenceModules(directory: folder.url))
      #expect(modules.poolings == expected && modules.steps.isEmpty && modules.maximumTokens == nil)
    }
    #expect(try SentenceModules(directory: try TemporaryFolder().url) == nil)
  }

  @Test func whatIsRefused() throws {
    let cases: [([String], String, String)] = [
      (["Transformer", "LSTM", "Pooling"], "{}", "LSTM"), (["Transformer"], "{}", "Pooling"),
      (["Pooling", "Transformer"], "{}", "Pooling"), (["Transformer", "Pooling", "CNN"], "{}", "CNN"),
      (["Transformer", "Pooling"], #"{"pooling_mode": "median"}"#, "median"),
      (["Transformer", "Pooling"], #"{"pooling_mode_attention": true}"#, "pooling_mode_attention"),
    ]
    for (types, pooling, word) in cases {
      let folder = try Self.folder(types, pooling: pooling)
      do {
        _ = try SentenceModules(directory: folder.url)
        Issue.record("\(types) \(pooling) was accepted")
      } catch {
        #expect("\(error)".contains(word) && "\(error)".hasPrefix(folder.url.path), "\(error)")
      }
    }
  }

  @Test func poolingByHand() {
    let states: [Float] = [1, -2, 3, 5, -1, 0]
    func pooled(_ pooling: Pooling) -> [Float] { pooling(states[...], width: 2) }
    #expect(pooled(.first) == [1, -2] && pooled(.last) == [-1, 0] && pooled(.maximum) == [3, 5])
    expectClose(pooled(.mean), [1.0, 1.0], within: 1e-6)
    expectClose(pooled(.meanOverSquareRoot), [3.0 / 3.0.squareRoot(), 3.0 / 3.0.squareRoot()], within: 1e-6)
    expectClose(pooled(.weightedMean), [4.0 / 6, 8.0 / 6], within: 1e-6)
    expectClose([3, 4].normalized, [0.6, 0.8], within: 1e-7)
    #expect(([0, 0] as [Float]).normalized == [0, 0])
  }
}
