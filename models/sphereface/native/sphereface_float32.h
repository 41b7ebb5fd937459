/* Float32 numbers: a word is one number. */

typedef float Number;

OPERATION Vector widen(const Number *numbers) { return load(numbers); }
OPERATION void narrow(Number *numbers, Vector x) { store(numbers, x); }
OPERATION Vector load_words(const Number *weights) { return load(weights); }
OPERATION Vector add_products_of_words(Vector sums, Vector words, Vector weights)
{
    return multiply_add(words, weights, sums);
}
OPERATION Number round_number(float x) { return x; }
