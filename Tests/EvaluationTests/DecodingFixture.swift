import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// A tiny checkpoint with a soft prompt, and texts that transformers continued (tools/fixtures/decoding.py, t5.py).
struct DecodingFixture {
  struct Case: Decodable {
    var context: [Int32]
    var prompted: Bool
    var beams: Int
    var length_penalty: Double
    var max_new_tokens: Int
    var stop_tokens: [Int32]
    var tokens: [Int32]
    var stopped: Bool
  }

  let cases: [Case]
  let model: any LanguageModel
  let codec: TextCodec
  private let prompt: StaticPrompt

  /// - Parameter family: gpt2 or t5.
  init(_ family: String = "gpt2", on backend: any ComputeBackend) throws {
    let start = family == "gpt2" ? "" : "\(family)-"
    let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
    cases = try JSONDecoder().decode(
      [Case].self, from: try Data(contentsOf: folder.appendingPathComponent("\(start)generations.json")))
    model = try ModelDirectory(folder.appendingPathComponent(family)).load(on: backend)
    let file = try SafetensorsFile(url: folder.appendingPathComponent("\(start)prompt.safetensors"))
    let entry = try #require(file.entries["prompt"])
    prompt = try StaticPrompt(
      values: try file.floats(of: entry), length: entry.shape[0], width: entry.shape[1], isTrainable: false,
      on: backend)
    codec = try TextCodec(
      tokenizer: ByteTokenizer(endToken: model.facts.endTokens[0]), facts: model.facts,
      generationEndTokens: cases[0].stop_tokens)
  }

  func promptedModel(_ isPrompted: Bool) -> PromptedModel {
    PromptedModel(model: model, prompt: isPrompted ? prompt : NoPrompt())
  }
}
